"""Capacity planning: which hardware holds a service's limits, by a roofline and by what was measured.

``models.py`` and ``hardware.py`` are tables, ``roofline.py`` predicts, ``evidence.py`` reads what a store
has measured, ``planner.py`` puts both together. No I/O but the reading of a ``config.json``.
"""
