"""Rows of a batch as one sequence: what all of them begin with stands there once, then each goes on by itself.

The rows of one call site share their instructions, which are often most of a prompt. A mask lets every row see the
shared beginning and itself, so that the loss and its gradients are those of the rows apart, for a part of the work and
with no padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from .rows import Example

_SAME = 1e-2
"""Nats a token by which the loss of packed rows may differ from that of the rows apart: rounding, and no more."""
_EVERYBODY = -1


def portions(examples: list[Example], tokens: int) -> Iterator[list[Example]]:
    """Cut a batch into parts whose rows, the shared beginning counted once, have so many tokens at most."""
    part: list[Example] = []
    for one in sorted(examples, key=len):
        if part and _size([*part, one]) > tokens:
            yield part
            part = []
        part.append(one)
    yield part


def loss(model: Any, part: list[Example]) -> Any:
    """Sum the negative log-likelihood of the answers' tokens; only their logits are made, for a vocabulary is wide."""
    shared = _shared(part)
    ids, places, owners = list(part[0].prompt[:shared]), list(range(shared)), [_EVERYBODY] * shared
    foretell: list[int] = []
    targets: list[int] = []
    for number, one in enumerate(part):
        tokens = [*one.prompt[shared:], *one.answer]
        # What stands at one place foretells the next.
        first = len(ids) + len(tokens) - len(one.answer) - 1
        foretell += range(first, first + len(one.answer))
        targets += one.answer
        ids += tokens
        places += range(shared, shared + len(tokens))
        owners += [number] * len(tokens)
    where = model.device
    found = model(
        input_ids=torch.tensor([ids], device=where), attention_mask=_mask(torch.tensor(owners, device=where)),
        position_ids=torch.tensor([places], device=where), logits_to_keep=torch.tensor(foretell, device=where),
        use_cache=False,
    )  # fmt: skip
    wanted = torch.tensor(targets, device=where)
    return torch.nn.functional.cross_entropy(found.logits[0].float(), wanted, reduction="sum")


def may_pack(model: Any, examples: list[Example]) -> bool:
    """Say whether the model minds the mask: some kinds (recurrent layers) carry over what stands before."""
    some = examples[:3]
    model.eval()
    with torch.no_grad():
        together, apart = float(loss(model, some)), sum(float(loss(model, [one])) for one in some)
    return abs(together - apart) <= _SAME * sum(len(one.answer) for one in some)


def _shared(part: list[Example]) -> int:
    """Count the tokens that all prompts begin with, but for the last: the first token of an answer needs one before."""
    most = min(len(one.prompt) for one in part) - 1
    first = part[0].prompt
    return next((at for at in range(most) if any(one.prompt[at] != first[at] for one in part)), most)


def _size(part: list[Example]) -> int:
    shared = _shared(part)
    return shared + sum(len(one) - shared for one in part)


def _mask(owners: Any) -> Any:
    """Let each token see those before it that are its own row's or everybody's; (1, 1, tokens, tokens)."""
    before = torch.ones(len(owners), len(owners), dtype=torch.bool, device=owners.device).tril()
    mine = (owners[:, None] == owners[None, :]) | (owners[None, :] == _EVERYBODY)
    return (before & mine)[None, None]
