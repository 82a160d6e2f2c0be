"""Whether a level shift is for the worse follows from the metric's direction, and is not kept."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("change_point", "worse")
