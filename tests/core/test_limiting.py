"""Output limits in the flow: what past answers set, what a cut answer leads to, and that a limit fails no call."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import openai

from tuppence.attempts import Result
from tuppence.checks import default_check
from tuppence.clients import result_of, wrap
from tuppence.drivers import run, stream
from tuppence.flow import plan
from tuppence.policy import Policy, Retries
from tuppence.ports import Port
from tuppence.prices import token_rate
from tuppence.prune.output import OutputLengths, OutputLimits
from tuppence.request import Message, Reply, Request
from tuppence.testing import ProviderServer
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier
from tuppence.usage import Usage

SMALL, LARGE = (Tier(name, model=name, rate=token_rate(input="1", output="2")) for name in ("small", "large"))


def limits(longest: int = 100, model: str = "small", task: str = "") -> OutputLimits:
    """Limits learned from a thousand answers, of all lengths up to `longest`, and a few that ran away."""
    usual = [1 + (i * 37) % longest for i in range(996)]
    past = [(task, model, length, 0, "stop") for length in (*usual[:500], *[20_000] * 4, *usual[500:])]
    return OutputLimits(past, lengths=OutputLengths(brevity=None))


def call(models: ScriptedModels, learned: OutputLimits, request: Request | None = None, **options: Any) -> Result:
    defaults: dict[str, Any] = {"tiers": (SMALL, LARGE), "check": None, "retries": Retries(base_s=0.0)}
    policy = Policy(**{**defaults, **options}, limits=learned)
    return run(plan(request or ask(), policy), Port(models))


def ask(**options: Any) -> Request:
    return Request((Message("user", "why?"),), received_at=1_000.0, **options)


def answer(text: str = "because", finish: Any = "stop", output: int = 40) -> Reply:
    return Reply(text, finish=finish, usage=Usage(input=10, output=output), native=text)


def sent(models: ScriptedModels) -> list[Any]:
    return [one.edits.params.get("max_tokens") for one in models.asked]


class TestALimit:
    def test_is_set_from_past_answers(self) -> None:
        """Those that ran away are cut, no others, at a step that later answers seldom change."""
        models = ScriptedModels(small=answer())
        call(models, limits(100))
        assert sent(models) == [112]

    def test_is_of_the_task_and_model(self) -> None:
        """Another task or model has its own answers, and none where nothing was seen."""
        models = ScriptedModels(small=answer("bad"), large=answer())
        call(models, limits(100, task="sums"), ask(tags={"task": "letters"}))
        call(models, limits(100, task="sums"), ask(tags={"task": "sums"}))
        assert sent(models) == [None, 112]

    def test_never_raises_the_callers_own(self) -> None:
        """And a higher one is lowered under the caller's name for it."""
        models = ScriptedModels(small=answer())
        call(models, limits(), ask(params={"max_tokens": 50}))
        call(models, limits(), ask(params={"max_completion_tokens": 5000}))
        assert [dict(one.edits.params) for one in models.asked] == [{}, {"max_completion_tokens": 112}]

    def test_comes_with_the_calls_where_nothing_was_known(self) -> None:
        """The flow teaches it; without a price nothing says that a limit does not pay."""
        learned = OutputLimits(lengths=OutputLengths(brevity=None))
        models = ScriptedModels(small=[answer(output=20 + i % 30) for i in range(160)])
        for _ in range(160):
            call(models, learned, tiers=(Tier("small", model="small"), LARGE))
        assert sent(models)[0] is None
        assert sent(models)[-1] == 64

    def test_travels_with_what_it_has_learned(self) -> None:
        """To another process; no text is in it."""
        other = pickle.loads(pickle.dumps(limits()))
        assert other.plan(ask(), SMALL) == limits().plan(ask(), SMALL)

    def test_never_raises_a_tiers_own(self) -> None:
        """What its native settings say is not in the request."""
        models = ScriptedModels(small=answer())
        call(models, limits(), tiers=(replace(SMALL, max_output_tokens=90), LARGE))
        call(models, limits(), tiers=(replace(SMALL, max_output_tokens=900), LARGE))
        assert sent(models) == [None, 112]


class TestACutAnswer:
    def test_is_asked_for_again_without_the_limit(self) -> None:
        """Nobody gets half an answer for our limit's sake; both asks are on the books."""
        models = ScriptedModels(small=[answer("half", "length", 112), answer("whole")])
        result = call(models, limits())
        assert result.reply is not None and result.reply.text == "whole"
        assert [(a.cause, a.outcome, a.finish) for a in result.attempts] == [
            ("draft", "rejected", "length"), ("retry", "accepted", "stop"),
        ]  # fmt: skip
        assert sent(models) == [112, None]
        assert "limit cut" in result.decision.route

    def test_by_the_callers_own_limit_is_the_callers(self) -> None:
        """It is handed on as it is."""
        models = ScriptedModels(small=[answer("half", "length", 50), answer("never")])
        result = call(models, limits(), ask(params={"max_tokens": 50}))
        assert result.reply is not None and result.reply.text == "half"

    def test_is_not_asked_for_again_where_no_call_is_left(self) -> None:
        """Half an answer is then what there is."""
        models = ScriptedModels(small=[answer("half", "length", 112), answer("whole")])
        result = call(models, limits(), retries=Retries(max_attempts=1))
        assert result.reply is not None and result.reply.text == "half"


class TestWhereNoneIsSet:
    def test_on_a_stream_that_is_seen_at_once(self) -> None:
        """What its reader has seen cannot be asked for again; a stream that is held can."""
        live, held = ScriptedModels(large="yes"), ScriptedModels(small="yes", large="never")
        for models, tiers in ((live, (LARGE,)), (held, (SMALL, LARGE))):
            policy = Policy(tiers=tiers, check=default_check(), limits=limits(model=tiers[0].model))
            for _ in stream(plan(ask(streaming=True), policy), Port(models)):
                pass
        assert sent(live) == [None] and sent(held) == [112]

    def test_in_observe_mode_and_for_a_judge(self) -> None:
        """A judge's answer is no answer to the caller."""
        models = ScriptedModels(large=answer())
        call(models, limits(model="large"), mode="observe")
        assert sent(models) == [None]


class TestFailure:
    def test_a_provider_that_refuses_the_limit_is_asked_without(self) -> None:
        """The request itself may be to blame: the second refusal is final."""

        class Refused(Exception):
            status_code = 400

        models = ScriptedModels(small=[Refused("max_tokens is not supported"), answer()])
        result = call(models, limits())
        assert result.reply is not None and sent(models) == [112, None]

    def test_limits_that_break_are_gone_round(self) -> None:
        """Learning and planning alike."""

        class Broken(OutputLimits):
            def edits(self, *_: Any) -> Any:
                raise ValueError("no plan")

        result = call(ScriptedModels(small=answer()), Broken())
        assert result.reply is not None
        assert result.decision.faults == ["limits: ValueError: no plan"]


class TestThroughTheSdk:
    def test_each_api_has_its_own_name(self, server: ProviderServer) -> None:
        """Chat, responses: as today's models take it."""
        with openai.OpenAI(base_url=server.base_url, api_key="x") as plain:
            client = wrap(plain, tiers=[SMALL, LARGE], ledger=None, limits=limits())
            completion = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "why?"}])
            client.responses.create(model="auto", input="why?")
        chat, response = (one.request for one in server.served)
        assert chat["max_completion_tokens"] == 112 and response["max_output_tokens"] == 112
        assert result_of(completion).attempts[0].finish == "stop"
