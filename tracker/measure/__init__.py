"""Measuring commits: git worktrees, one launch, a range of commits.

Commits are measured from git, never from the working tree: each gets a worktree of its own
(`worktree.py`). A `Runner` (`launch.py`) measures one launch of it; `runners.py` makes the one
that the project asks for, `asv/` by default. `commit_range.py` takes a range of commits through
launches into the store.
"""
