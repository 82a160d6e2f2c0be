"""A drift beside the level shifts: how many measured commits it spans."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("change_point", sa.Column("drift_commits", sa.Integer(), nullable=True))
