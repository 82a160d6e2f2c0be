"""What each search for level shifts went by, so that an unchanged series is not searched again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "detection",
        sa.Column("series_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("basis", sa.String(length=64), nullable=False),
        sa.Column("num_points", sa.Integer(), nullable=False),
        sa.Column("num_missing", sa.Integer(), nullable=False),
        sa.Column("num_segments", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_detection_series_id")),
        sa.PrimaryKeyConstraint("series_id", name=op.f("pk_detection")),
    )
    # Shifts that stand get the defaults until the next search, which finds no basis and replaces
    # them.
    with op.batch_alter_table("change_point") as batch:
        batch.add_column(sa.Column("previous_id", sa.Integer(), nullable=True))
        batch.add_column(
            sa.Column("recovered", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch.add_column(sa.Column("cause", sa.Text(), nullable=False, server_default="code"))
        batch.create_foreign_key(
            op.f("fk_change_point_previous_id"), "revision", ["previous_id"], ["id"]
        )
