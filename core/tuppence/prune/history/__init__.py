"""Chat histories: tool results written shorter as they arrive, old ones cleared and old turns left out where that pays.

Calls and their results stay together, the system message and the current turn stay as they are, and what was sent once
changes only where the provider's prefix cache is worth less than what the cut saves.

`pruner` has the order of steps, and `shaper` makes a policy's shaper of it. `arrival` writes results as they come. The
strategies `clearing`, `emptying` and `window` propose edits of a `view`; `choosing` weighs them by `economics`, on the
`layout` of what would be sent; `decisions` remember what was done.
"""

from tuppence.prune.history.arrival import fewest_tokens
from tuppence.prune.history.clearing import Clearing
from tuppence.prune.history.decisions import Batch, Decisions
from tuppence.prune.history.economics import Change, Net, PromptPrice, net_of
from tuppence.prune.history.emptying import Emptying
from tuppence.prune.history.policy import HistoryPolicy, PrunedHistory
from tuppence.prune.history.pruner import HistoryPruner
from tuppence.prune.history.recovery import RECOVER_TOOL, Recovery
from tuppence.prune.history.shaper import HistoryShaper, prompt_price
from tuppence.prune.history.summary import Summariser
from tuppence.prune.history.view import Proposal, Rendered, Shortened, Strategy, View
from tuppence.prune.history.window import Window

__all__ = [
    "RECOVER_TOOL",
    "Batch",
    "Change",
    "Clearing",
    "Decisions",
    "Emptying",
    "HistoryPolicy",
    "HistoryPruner",
    "HistoryShaper",
    "Net",
    "PromptPrice",
    "Proposal",
    "PrunedHistory",
    "Recovery",
    "Rendered",
    "Shortened",
    "Strategy",
    "Summariser",
    "View",
    "Window",
    "fewest_tokens",
    "net_of",
    "prompt_price",
]
