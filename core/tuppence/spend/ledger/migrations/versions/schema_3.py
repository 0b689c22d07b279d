"""Schema 3: sums of the rows that are there, kept beside them.

They are empty here: programs that write fill them when they have a moment, and until then reports read the rows. A
later schema that changes them may so drop them and begin anew.
"""

from alembic import op

from tuppence.spend.ledger.tables import added_up, hours, marks, metadata, user_days

revision = "3"
down_revision = "2"


def upgrade() -> None:
    metadata.create_all(op.get_bind(), tables=[hours, user_days, marks, added_up])
    op.execute("INSERT INTO added_up (last_id) VALUES (0)")
