"""The digest of a file that was read whole, so that a touched one is not parsed again."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("seen_file", sa.Column("content", sa.String(64), nullable=True))
