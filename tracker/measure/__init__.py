"""Measuring commits with asv: git worktrees, one launch, a range of commits.

Commits are measured from git, never from the working tree: each gets a worktree of its own
(`worktree.py`), one asv run of it is a launch (`asv.py`), and `runner.py` takes a range of
commits through launches into the store.
"""
