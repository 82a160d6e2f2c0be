"""`tracker init`: what a repository lacks to be measured and judged, shown first, never overwritten.

``shapes``     what is measured, to the text of pacekeeper.toml
``pipelines``  a CI system to the files that it reads
``plan``       the files that are missing, and writing them
"""
