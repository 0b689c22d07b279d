"""What a configuration file may say, as pydantic models. Shapes and ranges only: `building` says what it means."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from tuppence.config.budget_schema import BudgetsSettings
from tuppence.config.cache_schema import CacheSettings
from tuppence.config.certifying import CertificateSettings
from tuppence.config.lane_schema import LaneSettings
from tuppence.config.shape_schema import ShapeSettings
from tuppence.config.shapes import Nothing, OneOf, Strict
from tuppence.config.values import (
    Count,
    Dollars,
    Label,
    Natural,
    NotNegative,
    Plain,
    Positive,
    Probability,
    Reference,
    Score,
    Seconds,
    Share,
)
from tuppence.policy import Mode, OnExhausted
from tuppence.request import Capability

Address = Annotated[str, Field(pattern=r"^https?://[^/\s]+")]
TierClass = Literal["openai", "anthropic", "openai_compatible", "vllm", "function"]


class TokenPrices(Strict):
    """Dollars per million tokens, by kind of token."""

    output: Dollars | None = None
    cache_read: Dollars | None = None
    cache_write_5m: Dollars | None = None
    cache_write_1h: Dollars | None = None
    audio_input: Dollars | None = None
    audio_cache_read: Dollars | None = None
    audio_output: Dollars | None = None


class Buckets(TokenPrices):
    input: Dollars


class Price(TokenPrices):
    """What a tier costs: by tokens, by the hour, or nobody knows."""

    unpriced: bool = False
    usd_per_hour: Dollars | None = None
    input: Dollars | None = None
    calls: dict[str, Dollars] | None = None
    batch: Buckets | None = None
    flex: Buckets | None = None
    priority: Buckets | None = None
    fast: Buckets | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"unpriced": True} if value == "unpriced" else value

    @model_validator(mode="after")
    def _one_kind(self) -> Price:
        said = self.model_fields_set
        if "unpriced" not in said and "usd_per_hour" not in said and not {"input", "output"} <= said:
            raise ValueError("give input and output in dollars per million tokens, usd_per_hour, or the word unpriced")
        if ("unpriced" in said or "usd_per_hour" in said) and len(said) > 1:
            raise ValueError("usd_per_hour and unpriced stand alone: keep one way of pricing")
        return self


class Example(Strict):
    """One turn that shows a tier what is wanted."""

    user: str
    assistant: str


class AdditionSettings(Strict):
    """Prompt text that only this tier gets."""

    system: str = ""
    examples: list[Example] = Field(default_factory=list)


class ReferenceSettings(TokenPrices):
    """What the same model costs at a provider that serves it: a model of the price list, or prices by the token."""

    model: Annotated[str, Field(min_length=1)] | None = None
    input: Dollars | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_kind(self) -> ReferenceSettings:
        said = self.model_fields_set
        if not (said == {"model"} or ("model" not in said and {"input", "output"} <= said)):
            raise ValueError("name a model of the price list, or give input and output in dollars per million tokens")
        return self


class SpillOverSettings(Strict):
    """How long the queue of a tier's own servers may be."""

    waiting: Positive


class TierSettings(Strict):
    """One rung of the ladder, or a judge."""

    name: Annotated[Label, Field(min_length=1)]
    kind: TierClass = Field(alias="class")
    model: Label = ""
    provider: str | None = None
    base_url: Address | None = None
    base_urls: Annotated[list[Address], Field(min_length=1)] | None = None
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    function: Reference | None = None
    price: Price | None = None
    reference: ReferenceSettings | None = None
    spill_over: SpillOverSettings | None = None
    stands_in_for: str = ""
    timeout_s: Seconds | None = None
    self_hosted: bool = False
    capabilities: list[Capability] | None = None
    context_tokens: Positive | None = None
    additions: AdditionSettings | None = None
    params: Plain = Field(default_factory=dict)


class SizeSettings(Strict):
    small_words: Count | None = None
    large_words: Count | None = None


class ComplexitySettings(Strict):
    bands: tuple[Score, Score] | None = None


class TaskSettings(Strict):
    start: str | None = None
    threshold: Score | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"start": value} if isinstance(value, str) else value


class StickySettings(Strict):
    route: RouteSettings
    max_sessions: Count | None = None


class ExperimentSettings(Strict):
    name: Annotated[Label, Field(min_length=1)]
    treatment: RouteSettings
    control: RouteSettings | None = None
    share: Share | None = None
    by: Annotated[str, Field(min_length=1)] | None = None
    log: Annotated[str, Field(min_length=1)] | None = None


class RouteSettings(OneOf):
    """Which tier tries first."""

    what: ClassVar[str] = "route"
    alternatives: ClassVar[str] = ": put several under first_of (the first that has something to say) or within"

    start_at: str | None = None
    by_size: SizeSettings | None = None
    by_keywords: dict[str, str] | None = None
    by_task: dict[str, TaskSettings] | None = None
    by_complexity: ComplexitySettings | None = None
    sticky: StickySettings | None = None
    among: Annotated[list[str], Field(min_length=1)] | None = None
    experiment: ExperimentSettings | None = None
    first_of: Annotated[list[RouteSettings], Field(min_length=1)] | None = None
    within: Annotated[list[RouteSettings], Field(min_length=1)] | None = None
    custom: Reference | None = None


class DataClassSettings(Strict):
    private: list[str] | None = None
    public: list[str] | None = None
    classify: Reference | None = None


class GuardSettings(OneOf):
    """What no route may undo."""

    what: ClassVar[str] = "guard"
    alternatives: ClassVar[str] = ": make each an item of the list"

    data_class: DataClassSettings | None = None
    only: list[str] | None = None
    custom: Reference | None = None


class SchemaSettings(Strict):
    json_schema: Plain | None = None
    model: Reference | None = None

    @model_validator(mode="after")
    def _one_source(self) -> SchemaSettings:
        if self.json_schema is not None and self.model is not None:
            raise ValueError("json_schema and model both say what the answer must follow: keep one")
        return self


class ConfidenceSettings(Strict):
    field: str | None = None
    out_of: Seconds | None = None


class JudgeSettings(Strict):
    tier: str
    rubric: str | None = None
    params: Plain | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"tier": value} if isinstance(value, str) else value


class CheckSettings(OneOf):
    """What makes an answer good enough."""

    what: ClassVar[str] = "check"
    alternatives: ClassVar[str] = ": put several under all (the lowest score counts) or any (the highest)"

    default: Nothing | None = None
    not_empty: Nothing | None = None
    not_refused: Nothing | None = None
    not_truncated: Nothing | None = None
    valid_tool_calls: Nothing | None = None
    grounded: Nothing | None = None
    sequence_probability: Nothing | None = None
    matches_schema: SchemaSettings | None = None
    self_confidence: ConfidenceSettings | None = None
    agrees_with: str | None = None
    judged_by: JudgeSettings | None = None
    custom: Reference | None = None
    all: Annotated[list[CheckSettings], Field(min_length=1)] | None = None
    any: Annotated[list[CheckSettings], Field(min_length=1)] | None = None


class RetrySettings(Strict):
    per_tier: Natural | None = None
    max_attempts: Positive | None = None
    validation: Natural | None = None
    base_s: NotNegative | None = None
    cap_s: NotNegative | None = None
    max_wait_s: NotNegative | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return {"per_tier": value} if isinstance(value, int | Decimal) else value


class RecordSettings(Strict):
    """Which calls are kept with their texts, and where."""

    path: Annotated[str, Field(min_length=1)]
    share: Probability | None = None
    redact: Reference | None = None
    require_tenant: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


def _record_word(value: Any) -> Any:
    return None if value in (False, "off") else value


def _ledger_word(value: Any) -> Any:
    return {True: "default", False: "off"}[value] if isinstance(value, bool) else value


def _check_word(value: Any) -> Any:
    """`check: off` accepts every answer; YAML's own word for nothing does too."""
    return None if value in (False, "off") else value


class Settings(Strict):
    """A whole file."""

    version: Label = ""
    mode: Mode = "optimise"
    tiers: Annotated[list[TierSettings], Field(min_length=1)]
    judges: list[TierSettings] = Field(default_factory=list)
    route: RouteSettings | None = None
    guards: list[GuardSettings] = Field(default_factory=list)
    shape: list[ShapeSettings] = Field(default_factory=list)
    limits: bool = False
    check: Annotated[CheckSettings | None, BeforeValidator(_check_word)] = None
    threshold: Score = 0.5
    certificate: CertificateSettings | None = None
    cache: CacheSettings | None = None
    prompt_cache: bool = False
    ledger: Annotated[str, BeforeValidator(_ledger_word), Field(min_length=1)] = "default"
    record: Annotated[RecordSettings | None, BeforeValidator(_record_word)] = None
    retries: RetrySettings | None = None
    max_usd_per_call: Annotated[Dollars, Field(gt=0)] | None = None
    budgets: BudgetsSettings | None = None
    lane: LaneSettings | None = None
    baseline: Label = ""
    on_exhausted: OnExhausted = "best_draft"
