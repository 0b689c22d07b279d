"""Where an SDK client's requests come in: which go through the policy, with which tiers, and which pass through."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuppence.checks import And
from tuppence.clients.anthropic_messages import Messages
from tuppence.clients.calls import Call, Parser, Parses
from tuppence.clients.dialect import Dialect, Json
from tuppence.clients.native import NativeModels, Posting
from tuppence.clients.openai_chat import ChatCompletions
from tuppence.clients.openai_embeddings import Embeddings
from tuppence.clients.openai_responses import Responses
from tuppence.clients.sdk import Family, family_of, own_headers, plain, wants_raw
from tuppence.clients.tiers import ClientTier, priced
from tuppence.context import current_cache_tags, current_call_id, current_tags
from tuppence.effects import Lease
from tuppence.errors import RequestError
from tuppence.policy import Policy
from tuppence.prices import PriceBook
from tuppence.request import Request
from tuppence.spend import Ledger
from tuppence.tiers import Tier

AUTO = "auto"
"""The model name by which a call leaves the choice of the tier to the policy."""

_DIALECTS: Mapping[tuple[Family, str], Dialect] = {
    ("openai", "/chat/completions"): ChatCompletions(),
    ("openai", "/responses"): Responses(),
    ("openai", "/embeddings"): Embeddings(),
    ("anthropic", "/v1/messages"): Messages(),
}
# A program that makes up model names as it goes must not fill the memory.
_MAX_POLICIES = 256


@dataclass(slots=True)
class Setup:
    """What all copies of one wrapped client share."""

    policy: Policy
    """The policy for `model="auto"`; where there are no tiers, what else was set."""
    has_tiers: bool
    book: PriceBook
    ledger: Ledger | None
    singles: dict[tuple[str, bool], Policy] = field(default_factory=dict)
    """Policies of one tier, by its name and whether nothing may be checked or cached."""


class Desk:
    """The `post` method of one wrapped client."""

    __slots__ = ("_family", "_setup", "wrapped_client")

    def __init__(self, client: Any, setup: Setup) -> None:
        self.wrapped_client = client
        self._family = family_of(client)
        self._setup = setup

    def post(self, path: str, **given: Any) -> Any:
        call = self._call(path, given)
        if call is None:
            return self.wrapped_client.post(path, **given)
        return call.stream() if given.get("stream") else call.run()

    async def apost(self, path: str, **given: Any) -> Any:
        call = self._call(path, given)
        if call is None:
            return await self.wrapped_client.post(path, **given)
        return await (call.astream() if given.get("stream") else call.arun())

    def keep(self, path: str, given: Mapping[str, Any], answer: Any, *, origin: str, pico_usd: int) -> None:
        """Keep an answer that came another way, such as in a batch, for who asks the same here; `answer` is the SDK's
        object, `origin` the call that paid for it.
        """
        dialect = _DIALECTS[self._family, path]
        posting = Posting(self.wrapped_client, path, plain(given), {}, type(answer), None, dialect)
        request, policy = self._request(posting, streaming=False), self._policy(posting.body, dialect, None)
        cache = policy.cache
        key = None if cache is None else cache.key(request, policy.scope)
        if cache is not None and isinstance(key, str):
            cache.remember(
                Lease(key), dialect.reply(answer), origin=origin, freeze=NativeModels(posting).freeze,
                tags=request.cache_tags, pico_usd=pico_usd, tenant=request.tags.get("tenant"),
            )  # fmt: skip

    def _call(self, path: str, given: Mapping[str, Any]) -> Call | None:
        """Make a call of a request; None for one that passes through untracked."""
        dialect = _DIALECTS.get((self._family, path.partition("?")[0]))
        options = dict(given.get("options") or {})
        if dialect is None or not isinstance(given.get("body"), Mapping) or wants_raw(options.get("headers")):
            return None
        body: Json = plain({**given["body"], **(options.pop("extra_json", None) or {})})
        if dialect.untracked(body):
            return None
        parser: Parser | None = options.pop("post_parser", None)
        posting = Posting(
            self.wrapped_client, path, body, options, given.get("cast_to"), given.get("stream_cls"), dialect
        )
        request = self._request(posting, streaming=bool(given.get("stream")))
        policy = self._policy(body, dialect, parser)
        if policy.record is not None and not dialect.cascades:
            # Embeddings have no answer that anybody could judge.
            policy = policy.override(record=None)
        return Call(request, policy, posting, ledger=self._setup.ledger, parser=parser, note=self._note(body))

    def _request(self, posting: Posting, *, streaming: bool) -> Request:
        body = posting.body
        parts = posting.dialect.parts(body)
        # The address, too, decides what comes back; cached answers of different APIs never meet.
        params: dict[str, Any] = {"endpoint": f"{posting.client.base_url}{posting.path}"}
        params |= {name: value for name, value in body.items() if name not in posting.dialect.read_apart}
        if headers := own_headers(posting.options.get("headers")):
            params["headers"] = headers
        if query := posting.options.get("params"):
            params["query"] = dict(query)
        return Request(
            parts.messages, params, parts.tools, parts.schema, tags=current_tags(), cache_tags=current_cache_tags(),
            call_id=current_call_id(), streaming=streaming, received_at=time.time(), native=body,
        )  # fmt: skip

    # -- what `model=` means

    def _policy(self, body: Json, dialect: Dialect, parser: Parser | None) -> Policy:
        setup = self._setup
        model = body.get("model")
        if not isinstance(model, str | None):
            raise RequestError(f"model is {model!r} ({type(model).__name__}): name it as text, such as 'gpt-4o-mini'")
        alone = dialect.stateful(body)
        if not self._is_auto(model):
            return self._single(model or "", alone=alone)
        if not dialect.cascades:
            raise RequestError(f"model is {model!r}, but this API has no tiers: name the model, as without tuppence")
        policy = setup.policy
        if alone:
            return self._single(policy.strongest.name, alone=True)
        if parser is not None and policy.check is not None:
            return policy.override(check=And(policy.check, Parses(parser)))
        return policy

    def _is_auto(self, model: str | None) -> bool:
        return self._setup.has_tiers and (model in (AUTO, None))

    def _single(self, model: str, *, alone: bool) -> Policy:
        """Return the policy of one tier: the one of this name, or else the model itself."""
        key = (model, alone)
        policies = self._setup.singles
        if key not in policies:
            if len(policies) >= _MAX_POLICIES:
                policies.clear()
            policy, tier = self._setup.policy, self._tier(model)
            # Checks may ask the others still, and guards name them.
            others = tuple(t for t in (*policy.tiers, *policy.judges) if t.name != tier.name)
            changes: dict[str, Any] = {"tiers": (tier,), "judges": others, "route": None}
            if alone:
                changes |= {"check": None, "cache": None}
            policies[key] = policy.override(**changes)
        return policies[key]

    def _tier(self, model: str) -> Tier:
        setup = self._setup
        known = next((t for t in setup.policy.tiers if setup.has_tiers and t.name == model), None)
        if known is not None:
            return known
        return priced(ClientTier(model or "unnamed", model=model), self.wrapped_client, setup.book)

    def _note(self, body: Json) -> str:
        """Say, for whom an error puzzles, that a name was no tier's."""
        model = body.get("model")
        names = [t.name for t in self._setup.policy.tiers] if self._setup.has_tiers else []
        if self._is_auto(model) or model in names:
            return ""
        if names:
            return f"tuppence: {model!r} is no tier of this client ({', '.join(names)}): it was asked for as a model"
        return f"tuppence: {model!r} needs tiers: wrap(client, tiers=[...])" if model == AUTO else ""

    def beside(self, client: Any) -> Desk:
        """Return a desk with the same policy for a copy of the client."""
        return Desk(client, self._setup)
