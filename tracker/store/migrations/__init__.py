"""Alembic's scripts; they travel inside the package."""
