"""What a semantic cache promises in the flow, wherever its exact and its similar answers lie."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tuppence.attempts import Result
from tuppence.cache import MemorySimilarStore, SemanticCache
from tuppence.drivers import arun, run
from tuppence.effects import Ask
from tuppence.embed import Vectors
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.prices import token_rate
from tuppence.request import Message, Request
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier

from .store_suite import Clock

RATE = token_rate(input="1", output="2")
ASKED = "How do I cancel my gym membership?"
AGAIN = "How can I cancel my gym membership?"
OPPOSITE = "How do I not cancel my gym membership?"
OTHER = "What is the capital of Mongolia?"

OpenCache = Callable[..., SemanticCache]
Told = Callable[..., Awaitable[Result]]


class Words:
    """Embeds a text as its bag of words: enough to tell near from far, the same in every process."""

    name = "words-64"

    def embed(self, texts: Sequence[str], /) -> Vectors:
        rows = np.zeros((len(texts), 64), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()):
                row[int(hashlib.md5(word.encode()).hexdigest(), 16) % 64] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    async def aembed(self, texts: Sequence[str], /) -> Vectors:
        return self.embed(texts)


def for_whom(ask: Ask) -> str:
    """Answer so that an answer of another tenant's shows."""
    return f"The answer for {ask.request.tags.get('tenant', 'nobody')}."


def asking(question: str, cache: SemanticCache, *, policy: dict[str, Any] | None = None, **fields: Any) -> Any:
    """Return the plan and the port of a call."""
    settings = {"tiers": (Tier("large", model="l", rate=RATE),), "check": None, "cache": cache} | (policy or {})
    request = Request((Message("user", question),), **fields)
    return plan(request, Policy(**settings)), Port(ScriptedModels(large=for_whom), cache=cache)


class SemanticSuite:
    """Inherit it, and give it a fixture `open_cache`, which opens a cache as each process does: with its own stores, of
    one place, that go by `clock`. Options are those of `SemanticCache`.
    """

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture(params=["threads", "tasks"])
    def told(self, request: pytest.FixtureRequest) -> Told:
        """Ask a cache's program a question, in a thread or in a task, and have what it keeps written."""

        async def tell(question: str, cache: SemanticCache, **options: Any) -> Result:
            call, port = asking(question, cache, **options)
            result = await (asyncio.to_thread(run, call, port) if request.param == "threads" else arun(call, port))
            assert result.decision.faults == []
            await asyncio.to_thread(cache.flush)
            return result

        return tell

    async def test_what_one_process_paid_for_serves_another(self, told: Told, open_cache: OpenCache) -> None:
        """The same question and one like it; the decision says which call paid, and for which question."""
        ours, theirs = open_cache(), open_cache()
        paid = await told(ASKED, ours)
        same, like = await told(ASKED, theirs), await told(AGAIN, theirs)
        assert [result.tier for result in (paid, same, like)] == ["large", "cache", "similar"]
        assert paid.call_id in same.decision.cache
        assert paid.call_id in like.decision.cache
        assert ASKED in like.decision.cache
        assert like.pico_usd == 0

    async def test_every_store_decides_alike(self, told: Told, open_cache: OpenCache) -> None:
        """Word for word as a cache in memory does."""
        shared, in_memory = open_cache(), SemanticCache(Words(), similar=MemorySimilarStore(), threshold=0.5)
        for question in (ASKED, AGAIN, AGAIN, OPPOSITE, OTHER, f"So, {AGAIN}", "Where is my parcel?", OPPOSITE):
            one, other = await told(question, shared), await told(question, in_memory)
            assert (one.tier, _why(one)) == (other.tier, _why(other))

    async def test_two_tenants_never_share(self, told: Told, open_cache: OpenCache) -> None:
        """Nor does a tenant with a call that has none: equal questions and questions like them are paid for again."""
        ours, theirs = open_cache(), open_cache()
        for cache, tags in ((ours, {"tenant": "ann"}), (theirs, {"tenant": "bob"}), (theirs, {})):
            assert (await told(ASKED, cache, tags=tags)).tier == "large"
            like = await told(AGAIN, cache, tags=tags)
            assert like.tier == "similar"
            assert like.reply is not None
            assert like.reply.text == f"The answer for {tags.get('tenant', 'nobody')}."

    async def test_answers_expire_with_all_that_was_served_from_them(
        self, told: Told, open_cache: OpenCache, clock: Clock
    ) -> None:
        """A text that an entry was served to is no repeat once that entry has ended."""
        cache = open_cache(ttl_s=60.0)
        await told(ASKED, cache)
        clock.now += 40
        assert (await told(AGAIN, cache)).tier == "similar"
        assert (await told(AGAIN, cache)).tier == "cache"
        clock.now += 30
        assert (await told(AGAIN, cache)).tier == "large"
        clock.now += 61
        assert (await told(ASKED, cache)).tier == "large"

    async def test_one_process_invalidates_for_all(self, told: Told, open_cache: OpenCache) -> None:
        """The answer, its entry, and the text that it was served to; what has another tag stays."""
        ours, theirs = open_cache(), open_cache()
        await told(ASKED, ours, cache_tags=frozenset({"pricing-page"}))
        await told(OTHER, ours, cache_tags=frozenset({"atlas"}))
        assert (await told(AGAIN, ours)).tier == "similar"
        assert await asyncio.to_thread(theirs.invalidate, "pricing-page") == 3
        for cache in (ours, theirs):
            assert (await told(OTHER, cache)).tier == "cache"
        assert (await told(AGAIN, ours)).tier == "large"

    @pytest.mark.parametrize("change", [{"version": "prompt-2"}, {"tiers": (Tier("large", model="l-2", rate=RATE),)}])
    async def test_another_model_or_prompt_version_starts_afresh(
        self, told: Told, open_cache: OpenCache, change: dict[str, Any]
    ) -> None:
        """Neither the same question nor one like it is served what the old one said."""
        cache = open_cache()
        await told(ASKED, cache)
        for question in (ASKED, AGAIN):
            assert (await told(question, cache)).tier != "large"
        assert (await told(f"So, {ASKED}", cache, policy=change)).tier == "large"
        assert (await told(ASKED, open_cache(), policy=change)).tier == "similar"

    async def test_an_entry_that_cannot_be_read_is_removed_and_the_model_asked(
        self, told: Told, open_cache: OpenCache
    ) -> None:
        """Torn, or another version's: the call says so and goes on."""
        cache = open_cache()
        await told(ASKED, cache)
        ((entry, _),) = await asyncio.to_thread(cache.similar.entries)
        await asyncio.to_thread(cache.similar.add, replace(entry, value=entry.value[:-9]))
        await asyncio.to_thread(cache.flush)
        result = await arun(*asking(AGAIN, cache))
        assert result.tier == "large"
        assert "cannot be read: it was removed" in result.decision.faults[0]
        await asyncio.to_thread(cache.flush)
        assert [one.question for one, _ in await asyncio.to_thread(cache.similar.entries)] == [AGAIN]

    async def test_hits_are_counted_by_entry(self, told: Told, open_cache: OpenCache) -> None:
        """Those of every process."""
        ours, theirs = open_cache(), open_cache()
        for question in (ASKED, OTHER, AGAIN):
            await told(question, ours)
        await told(f"So, {AGAIN}", theirs)
        hits = {entry.question: hits for entry, hits in await asyncio.to_thread(theirs.similar.entries)}
        assert hits == {ASKED: 2, OTHER: 0}


def _why(result: Result) -> str:
    """What a decision says, whoever paid and whenever that was."""
    return re.sub(r"(by call )\S+|(stored )\d+( s ago)", r"\1\2\3", result.decision.cache)
