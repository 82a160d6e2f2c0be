"""Explanations: where the time of one commit went compared to another's."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "explanation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(255), nullable=False),
        sa.Column("base_hash", sa.String(64), nullable=False),
        sa.Column("head_hash", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_explanation_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_explanation")),
        sa.UniqueConstraint(
            "project_id",
            "machine",
            "base_hash",
            "head_hash",
            name=op.f("uq_explanation_project_id_machine_base_hash_head_hash"),
        ),
    )
    op.create_index(op.f("ix_explanation_head_hash"), "explanation", ["head_hash"])
