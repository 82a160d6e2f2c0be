"""Metric rules of projects, environments of runs, files seen; the direction of asv's memory benchmarks."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project", sa.Column("metric_rules", sa.Text(), nullable=True))
    # Earlier versions did not know asv's names of these types, and lost their direction.
    op.execute(
        "UPDATE benchmark SET better = 'lower' "
        "WHERE better IS NULL AND type IN ('memory', 'peakmemory')"
    )
    op.add_column("run", sa.Column("requirements", sa.Text(), nullable=True))
    op.add_column("run", sa.Column("env_vars", sa.Text(), nullable=True))
    op.create_table(
        "seen_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("num_results", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_seen_file_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seen_file")),
        sa.UniqueConstraint("project_id", "digest", name=op.f("uq_seen_file_project_id_digest")),
    )
