"""What a project's pacekeeper.toml says of its metrics; the direction of asv's memory benchmarks."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project", sa.Column("metric_rules", sa.Text(), nullable=True))
    # Earlier versions did not know asv's names of these types, and lost their direction.
    op.execute(
        "UPDATE benchmark SET better = 'lower' "
        "WHERE better IS NULL AND type IN ('memory', 'peakmemory')"
    )
