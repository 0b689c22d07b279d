"""The tables of a queue, the same in every database: one row a request, one row a claim on some of them.

Texts are kept here from the moment a caller hands them over until the request is forgotten: that is what a queue is
for. Keys and headers of a provider must never reach a row.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

_Int = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

# The version is in the names, so that another version may live in the same database.
requests = Table(
    "lane_requests_v1",
    metadata,
    Column("id", Text, primary_key=True),
    # Where it would have been sent at once: whose key may be used for it is the worker's to know.
    Column("endpoint", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    # What is written into the ledger where the caller has gone: JSON of `Errand`.
    Column("errand", Text, nullable=False),
    # waiting, claimed, answered, missed (the lane has no answer), cancelled
    Column("state", Text, nullable=False),
    # 1: the caller went away, or on by another way, when the request was claimed already.
    Column("left_behind", Integer, nullable=False),
    # 1: what the answer cost is in a ledger.
    Column("settled", Integer, nullable=False),
    Column("put_us", _Int, nullable=False),
    Column("deadline_us", _Int, nullable=False),
    Column("done_us", _Int),
    Column("claim", Text),
    Column("answer", Text),
    Column("error", Text),
    # JSON of the attempt that the answer was; NULL where an equal request of the same batch was billed for both.
    Column("attempt", Text),
    Index("lane_requests_v1_state", "state", "endpoint", "url", "deadline_us"),
    Index("lane_requests_v1_claim", "claim"),
)

claims = Table(
    "lane_claims_v1",
    metadata,
    Column("id", Text, primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("url", Text, nullable=False),
    # Until then its worker is believed to live.
    Column("lease_us", _Int, nullable=False),
    Column("made_us", _Int, nullable=False),
    Index("lane_claims_v1_lease", "endpoint", "lease_us"),
)
"""Claims under way; one that is through is deleted."""
