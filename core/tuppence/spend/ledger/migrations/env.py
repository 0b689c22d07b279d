"""What Alembic runs its scripts in: the connection that it was handed, within its transaction."""

from alembic import context

from tuppence.spend.ledger.tables import version

context.configure(connection=context.config.attributes["connection"], version_table=version.name)
with context.begin_transaction():
    context.run_migrations()
