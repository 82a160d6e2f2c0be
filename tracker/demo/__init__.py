"""`tracker demo`: a project that does not exist, its commits, its measurements, its verdicts.

The numbers come from a model with known changes (`engine.py`, `story.py`). The repository is real
git (`repository.py`). The verdicts are the gate's and the detector's own (`build.py`): nothing here
states one.
"""
