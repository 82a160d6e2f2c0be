"""Ops compiled for one CPU thread, and the matrices that their products take."""
