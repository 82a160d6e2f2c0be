"""The outcome of a gate in one word, and facts that its pairs do not hold: failures, faults, creep."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gate", sa.Column("outcome", sa.String(16), nullable=True))
    op.add_column("gate", sa.Column("course", sa.Text(), nullable=True))
