"""Runs the migrations on the connection that `tracker.store.schema.upgrade` hands over.

Its caller holds the transaction, so that the steps and the record of them are kept or lost
together.
"""

from alembic import context

from tracker.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
