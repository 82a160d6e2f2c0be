"""The newest runs and launch artifacts of one project among those of others."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("run", "artifact"):
        op.create_index(op.f(f"ix_{table}_project_id_id"), table, ["project_id", "id"])
