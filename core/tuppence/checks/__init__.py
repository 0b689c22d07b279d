"""Is this answer good enough? Each check gives a score; what is enough is the policy's threshold."""

from tuppence.checks.agreement import AgreesWith, agrees_with
from tuppence.checks.compose import And, Or
from tuppence.checks.confidence import SelfConfidence, self_confidence
from tuppence.checks.custom import Custom, custom
from tuppence.checks.default import default_check
from tuppence.checks.grounding import Grounded, grounded
from tuppence.checks.judge import RUBRIC, JudgedBy, judged_by
from tuppence.checks.learned import Learned, learned
from tuppence.checks.logprobs import SequenceProbability, sequence_probability
from tuppence.checks.presence import NotEmpty, not_empty
from tuppence.checks.refusal import NotRefused, not_refused
from tuppence.checks.schema import MatchesSchema, ValidToolCalls, matches_schema, valid_tool_calls
from tuppence.checks.truncation import NotTruncated, not_truncated

__all__ = [
    "RUBRIC",
    "AgreesWith",
    "And",
    "Custom",
    "Grounded",
    "JudgedBy",
    "Learned",
    "MatchesSchema",
    "NotEmpty",
    "NotRefused",
    "NotTruncated",
    "Or",
    "SelfConfidence",
    "SequenceProbability",
    "ValidToolCalls",
    "agrees_with",
    "custom",
    "default_check",
    "grounded",
    "judged_by",
    "learned",
    "matches_schema",
    "not_empty",
    "not_refused",
    "not_truncated",
    "self_confidence",
    "sequence_probability",
    "valid_tool_calls",
]
