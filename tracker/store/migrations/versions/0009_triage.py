"""Triage: owners, issues, merges and moves of alerts with their history; jobs, accounts, authors."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_MACHINE_OF_KEY = """
UPDATE alert SET machine_id = (
    SELECT machine.id FROM machine
    JOIN project ON project.id = alert.project_id
    JOIN revision ON revision.id = alert.revision_id
    WHERE machine.project_id = alert.project_id
      AND alert.key = project.name || '/' || revision.commit_hash || '/' || machine.name
)
"""


def upgrade() -> None:
    op.add_column("revision", sa.Column("author", sa.Text(), nullable=True))
    with op.batch_alter_table("alert") as batch:
        batch.add_column(sa.Column("machine_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("placed_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("metrics", sa.Text(), nullable=True))
        batch.add_column(sa.Column("merged_into", sa.Text(), nullable=True))
        batch.add_column(sa.Column("assignee", sa.Text(), nullable=True))
        batch.add_column(sa.Column("issue", sa.Text(), nullable=True))
        batch.add_column(sa.Column("until", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("fixed_by", sa.Text(), nullable=True))
        batch.create_foreign_key(op.f("fk_alert_machine_id"), "machine", ["machine_id"], ["id"])
        batch.create_foreign_key(op.f("fk_alert_placed_id"), "revision", ["placed_id"], ["id"])
    op.execute(_MACHINE_OF_KEY)
    op.create_table(
        "alert_event",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("fk_alert_event_alert_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_event")),
    )
    op.create_index(op.f("ix_alert_event_alert_id"), "alert_event", ["alert_id"])
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("machine_id", sa.Integer(), nullable=False),
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("active_key", sa.String(length=64), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("gate_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_job_project_id")),
        sa.ForeignKeyConstraint(["machine_id"], ["machine.id"], name=op.f("fk_job_machine_id")),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name=op.f("fk_job_revision_id")),
        sa.ForeignKeyConstraint(["gate_id"], ["gate.id"], name=op.f("fk_job_gate_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("active_key", name=op.f("uq_job_active_key")),
    )
    op.create_index(op.f("ix_job_revision_id"), "job", ["revision_id"])
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("email", name=op.f("uq_account_email")),
    )
