"""May a stored answer serve a new question? `judging` weighs what the other modules find in the words.

`reading` takes one question apart (`tokens`, `amounts`, `word_lists`), `differences` says what sets two of them apart
(`places`, `slips`), `pairing` and `voting` (`agreement`) turn that into features of the learned `models`, and
`personal` knows the questions whose answer nobody else may have.
"""

from tuppence.cache.decision.judging import SAFE_THRESHOLD, Judgement, judge, opposed
from tuppence.cache.decision.personal import unshareable

__all__ = ["SAFE_THRESHOLD", "Judgement", "judge", "opposed", "unshareable"]
