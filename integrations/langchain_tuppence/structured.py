"""Structured output over tiers of different providers: each tier is asked and read in its own provider's way.

What a tier's own `with_structured_output` binds is used for asking it, and its own parser reads its answer, so the
object is the one that the model alone would have given. A draft that the parser cannot read is no good answer, and
the next tier is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from operator import itemgetter
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough, RunnableSequence
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.pydantic import is_basemodel_subclass

from langchain_tuppence.handles import Handle, peel
from langchain_tuppence.messages import text_of
from langchain_tuppence.replies import METADATA
from tuppence.attempts import Verdict
from tuppence.checks import matches_schema
from tuppence.effects import Check, Plan
from tuppence.errors import ConfigError, RequestError
from tuppence.policy import Policy
from tuppence.request import Reply, Request

Side = tuple[dict[str, Any], Runnable[Any, Any]]
"""What to send a tier beside the messages, and what reads its answer."""

_matches = matches_schema()


class StructuredAnswer:
    """One schema, as each tier asks for it and reads it."""

    def __init__(self, schema: Any, handles: Mapping[str, Handle], options: Mapping[str, Any]) -> None:
        if not handles:
            raise ConfigError("structured output needs a model, and every tier is a function: add a chat model")
        self.schema = schema
        self.handles = handles
        self.options = dict(options)
        self.json_schema = _json_schema(schema)
        self.validated = isinstance(schema, type) and is_basemodel_subclass(schema)
        """Whether the parser itself holds answers to the schema; LangChain's parsers do for pydantic models only."""
        self._sides: dict[str, Side] = {}
        self._derived: tuple[Policy, Policy] | None = None
        # Now rather than in the first call: a schema that a provider refuses is the programmer's to see.
        for handle in handles.values():
            self._side(handle)

    def __getstate__(self) -> dict[str, Any]:
        return {"schema": self.schema, "handles": self.handles, "options": self.options}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["schema"], state["handles"], state["options"])  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"StructuredAnswer({getattr(self.schema, '__name__', self.schema)!r})"

    def kwargs(self, handle: Handle) -> dict[str, Any]:
        """Return what a tier must be sent beside the messages."""
        return self._side(handle)[0]

    def parse(self, message: AIMessage) -> Any:
        """Read an answer with the parser of the tier that gave it; raises what that parser raises."""
        told = message.response_metadata.get(METADATA, {})
        handle = self.handles.get(told.get("answered_by") or told.get("tier", ""))
        if handle is None:
            raise RequestError(
                f"the message does not say which tier answered (response_metadata[{METADATA!r}] is {told!r}): "
                "hand on the message that the model gave"
            )
        return self._side(handle)[1].invoke(message)

    def checked(self, policy: Policy) -> Policy:
        """Return `policy` with the parser as its first check; remembered for the policy last asked about."""
        if self._derived is None or self._derived[0] is not policy:
            self._derived = (policy, policy.override(check=Parses(self, policy.check)))
        return self._derived[1]

    def reader(self) -> Runnable[Any, Any]:
        """Return the runnable that reads answers: the provider's own, which streams partial objects, where all
        agree.
        """
        sides = [self._side(handle) for handle in self.handles.values()]
        models = {type(handle.model) for handle in self.handles.values()}
        shapes = {tuple(type(step) for step in _steps(parser)) for _, parser in sides}
        return sides[0][1] if len(models) == len(shapes) == 1 else RunnableLambda(self.parse, name="parse")

    def _side(self, handle: Handle) -> Side:
        side = self._sides.get(handle.name)
        if side is None:
            side = self._sides[handle.name] = _asked_of(handle, self.schema, self.options)
        return side


class Parses:
    """The check that the tier's own parser can read the answer, before any other check is asked."""

    def __init__(self, answer: StructuredAnswer, then: Check | None) -> None:
        self.answer = answer
        self.then = then

    def __call__(self, request: Request, reply: Reply) -> Verdict | Plan[Verdict]:
        try:
            parsed = self.answer.parse(reply.native)
        except Exception as error:  # noqa: BLE001 - whatever a parser raises, the answer cannot be read
            return Verdict(0.0, f"the answer cannot be parsed: {type(error).__name__}: {str(error)[:200]}")
        if parsed is None:
            return Verdict(0.0, "the answer holds no object of the schema")
        if not self.answer.validated:
            verdict = _matches(request, reply)
            if verdict.score == 0.0:
                return verdict
        return Verdict(1.0, "the answer parses") if self.then is None else self.then(request, reply)

    @property
    def stricter_than(self) -> Check | None:
        """The check that this one only adds to."""
        return self.then


def _asked_of(handle: Handle, schema: Any, options: Mapping[str, Any]) -> Side:
    """Take a tier's own structured model apart into what it binds and what it parses with."""
    try:
        native = handle.model.with_structured_output(schema, **options)
    except ValueError:
        if "method" not in options:
            raise
        # Methods are OpenAI's words; a provider that lacks one has its own default way.
        native = handle.model.with_structured_output(schema, **{k: v for k, v in options.items() if k != "method"})
    steps = _steps(native)
    if len(steps) < 2:
        raise ConfigError(
            f"tier {handle.name!r}: with_structured_output of {type(handle.model).__name__} is no model with a parser; "
            "use a model whose integration builds it so, as those of OpenAI and Anthropic do"
        )
    kwargs = peel(handle.name, steps[0])[1]
    rest = steps[1:]
    form = kwargs.get("response_format")
    if isinstance(form, type) and is_basemodel_subclass(form):
        kwargs = {**kwargs, "response_format": _openai_format(form)}
        rest = [RunnableLambda(partial(_parsed, schema=form), name="parsed"), *rest]
    return kwargs, rest[0] if len(rest) == 1 else RunnableSequence(*rest)


def _openai_format(schema: Any) -> dict[str, Any]:
    """Spell a pydantic class as the OpenAI SDK itself would send it.

    Given the class, the SDK parses inside the request: an answer that does not fit raises there, and what it used,
    which OpenAI bills, is lost with it. Given the same schema as JSON, the answer comes back and is parsed here.
    """
    from openai import pydantic_function_tool

    function = pydantic_function_tool(schema)["function"]
    form = {"name": schema.__name__, "schema": function.get("parameters", {}), "strict": True}
    return {"type": "json_schema", "json_schema": form}


def _parsed(message: AIMessage, *, schema: Any) -> AIMessage:
    """Put the object where langchain-openai's parser looks for it; raises what the SDK would have raised."""
    told, text = message.additional_kwargs, text_of(message)
    if message.tool_calls or told.get("parsed") or told.get("refusal") or not text:
        return message
    found = {**told, "parsed": schema.model_validate_json(text)}
    return message.model_copy(update={"additional_kwargs": found})


def _steps(runnable: Runnable[Any, Any]) -> list[Runnable[Any, Any]]:
    return list(runnable.steps) if isinstance(runnable, RunnableSequence) else [runnable]


def _json_schema(schema: Any) -> Mapping[str, Any]:
    if schema is None:
        return {"type": "object"}
    return convert_to_json_schema(schema)


def with_raw(model: Runnable[Any, Any], reader: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Give the message, the object and the parser's error side by side, as LangChain's `include_raw=True` does."""
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | reader, parsing_error=_nothing)
    unparsed = RunnablePassthrough.assign(parsed=_nothing)
    return RunnableMap(raw=model) | parsed.with_fallbacks([unparsed], exception_key="parsing_error")


def _nothing(_: Any) -> None:
    return None
