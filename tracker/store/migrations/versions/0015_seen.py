"""The files that an ingest has seen without an index at random places, which cost more than the rows."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("seen_file") as table:
        table.drop_constraint(op.f("uq_seen_file_project_id_digest"), type_="unique")
