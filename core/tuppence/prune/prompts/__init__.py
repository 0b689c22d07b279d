"""Prompts without dead weight: lossless tidying, tools whose schemas say nothing twice, and, where asked for,
abbreviations and phrases left out. A prompt is tidied once, where it is written: a change makes its cached prefix cold.
"""

from tuppence.prune.prompts.abbreviations import Abbreviated, abbreviated
from tuppence.prune.prompts.conditions import (
    AssembledPrompt,
    Condition,
    DynamicPrompt,
    PromptSection,
    has_tool,
    matches,
    mentions,
    sections_by_heading,
    tagged,
)
from tuppence.prune.prompts.examples import (
    BlockCosts,
    Example,
    ExampleSelector,
    Needed,
    Selection,
    block_costs,
    needed_examples,
)
from tuppence.prune.prompts.fillers import Risky, Trimmed, without_fillers
from tuppence.prune.prompts.inspection import Inspection, Prompt, Weight, inspected, read_prompt
from tuppence.prune.prompts.schemas import minified_schema
from tuppence.prune.prompts.shaper import TidyPrompt
from tuppence.prune.prompts.tidying import Tidied, tidied
from tuppence.prune.prompts.tools import MinifiedTools, minified_tool, minified_tools

__all__ = [
    "Abbreviated",
    "AssembledPrompt",
    "BlockCosts",
    "Condition",
    "DynamicPrompt",
    "Example",
    "ExampleSelector",
    "Inspection",
    "MinifiedTools",
    "Needed",
    "Prompt",
    "PromptSection",
    "Risky",
    "Selection",
    "Tidied",
    "TidyPrompt",
    "Trimmed",
    "Weight",
    "abbreviated",
    "block_costs",
    "has_tool",
    "inspected",
    "matches",
    "mentions",
    "minified_schema",
    "minified_tool",
    "minified_tools",
    "needed_examples",
    "read_prompt",
    "sections_by_heading",
    "tagged",
    "tidied",
    "without_fillers",
]
