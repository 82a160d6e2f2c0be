"""Jobs on executors, the service's tasks, and quarantined members of a machine class.

APScheduler's own table goes: the times of tasks follow from `service_task`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP TABLE IF EXISTS apscheduler_jobs")
    for name in ("node", "job_key"):
        op.add_column("run", sa.Column(name, sa.Text(), nullable=True))
    op.add_column(
        "job", sa.Column("priority", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    for name in ("executor", "handle", "node", "note"):
        op.add_column("job", sa.Column(name, sa.Text(), nullable=True))
    op.add_column(
        "job", sa.Column("seconds", sa.Double(), nullable=False, server_default=sa.text("0"))
    )
    op.create_table(
        "service_task",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_service_task_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_task")),
        sa.UniqueConstraint(
            "project_id", "service", "name", name=op.f("uq_service_task_project_id_service_name")
        ),
    )
    op.create_table(
        "node_quarantine",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine_id", sa.Integer(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_node_quarantine_machine_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node_quarantine")),
        sa.UniqueConstraint("machine_id", "node", name=op.f("uq_node_quarantine_machine_id_node")),
    )
