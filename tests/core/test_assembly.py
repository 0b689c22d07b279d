"""One word for a cache or a ledger means the same in every integration."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tuppence.assembly import databases, open_cache, open_ledger, record_feedback
from tuppence.cache import (
    ExactCache,
    MemorySimilarStore,
    MemoryStore,
    RedisSimilarStore,
    SemanticCache,
    SqliteSimilarStore,
    freeze_reply,
)
from tuppence.effects import Hit, Keep, Lease, Subject
from tuppence.errors import ConfigError, LedgerError
from tuppence.request import Message, Reply, Request


def test_one_ledger_file_is_opened_once(tmp_path: Path) -> None:
    """Two models that write to one file share its writer."""
    path = tmp_path / "ledger.sqlite"
    assert open_ledger(path) is open_ledger(str(path))


@pytest.mark.parametrize("option", [None, False])
def test_no_is_none(option: Any) -> None:
    """False and None both mean that nothing is kept."""
    assert open_cache(option) is None
    assert open_ledger(option) is None


def test_a_cache_is_taken_as_it_is_or_made(tmp_path: Path) -> None:
    """A word, a path, an address (nobody need be there yet) or a whole cache."""
    whole = ExactCache(MemoryStore())
    assert open_cache(whole) is whole
    for option in (True, "memory", tmp_path / "answers.sqlite", "redis://127.0.0.1:1", "redis+cluster://127.0.0.1:1"):
        assert isinstance(open_cache(option), ExactCache)


@pytest.mark.parametrize(
    ("word", "similar"),
    [
        ("semantic", MemorySimilarStore),
        ("semantic:memory", MemorySimilarStore),
        ("semantic:answers.sqlite", SqliteSimilarStore),
        ("semantic:redis://127.0.0.1:1", RedisSimilarStore),
    ],
)
def test_a_semantic_cache_is_opened_in_one_word(
    word: str, similar: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exact and similar entries lie in the same place; the embedder is the local one."""
    monkeypatch.chdir(tmp_path)
    cache = open_cache(word)
    assert isinstance(cache, SemanticCache)
    assert type(cache.similar) is similar
    cache.close()


def test_a_semantic_cache_in_a_file_finds_both_kinds_again(tmp_path: Path) -> None:
    """One file holds the exact repeat and the question like it; both are there for the next program."""
    word = f"semantic:{tmp_path / 'answers.sqlite'}"
    policy_scope, request = "policy-1", Request((Message("user", "How do I cancel my gym membership?"),))
    for turn in range(2):
        cache = open_cache(word)
        assert isinstance(cache, SemanticCache)
        key = cache.key(request, policy_scope)
        assert isinstance(key, str)
        found = cache.lookup(key)
        subject = cache.subject(request, key, policy_scope)
        assert isinstance(subject, Subject)
        near = cache.nearest(subject.scope, cache.embed(subject.question))
        if turn == 0:
            assert isinstance(found, Lease)
            assert near == []
            reply = Reply("At the desk.", finish="stop")
            cache.remember(found, reply, origin="call-1")
            cache.keep(Keep(subject, cache.embed(subject.question), reply, "call-1", 5), freeze_reply)
        else:
            assert isinstance(found, Hit)
            assert [one.entry.question for one in near] == [subject.question]
        cache.close()


@pytest.mark.parametrize("option", [3, 1.5, object()])
def test_anything_else_is_refused(option: Any) -> None:
    """The error names the value and what may be given."""
    with pytest.raises(ConfigError, match="give True"):
        open_cache(option)
    with pytest.raises(ConfigError, match="give True"):
        open_ledger(option)


def test_feedback_is_written_beside_its_call(tmp_path: Path) -> None:
    """A thumb up hours later still finds the ledger."""
    path = tmp_path / "ledger.sqlite"
    record_feedback("call-1", 1.0, ledger=path)
    ledger = open_ledger(path)
    assert ledger is not None
    ledger.flush()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT call_id, score FROM feedback").fetchall() == [("call-1", 1.0)]


def test_feedback_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    """A score is in [0, 1], and a ledger that keeps none says so."""
    with pytest.raises(LedgerError, match="from 0"):
        record_feedback("call-1", 7, ledger=tmp_path / "ledger.sqlite")
    with pytest.raises(ConfigError, match="keeps no feedback"):
        record_feedback("call-1", 1, ledger=False)


def test_a_list_of_ledgers_writes_to_each_and_keeps_feedback_where_rows_are_kept(tmp_path: Path) -> None:
    """An exporter beside a file: the file can be read again, the exporter cannot."""

    class Exporter:
        written = 0

        def write(self, _result: object) -> None:
            self.written += 1

        def flush(self, timeout_s: float = 10.0) -> None: ...
        def close(self) -> None: ...

    exporter = Exporter()
    both = open_ledger([tmp_path / "ledger.sqlite", exporter])
    assert both is not None
    assert [one.place for one in databases(both)] == [tmp_path / "ledger.sqlite"]
    record_feedback("a-call", 1.0, ledger=both)
    both.flush()
    assert exporter.written == 0
    with pytest.raises(ConfigError, match="keeps no feedback"):
        record_feedback("a-call", 1.0, ledger=exporter)
