"""The training itself: epochs of batches, each epoch kept as soon as it is done, so that a killed training goes on.

The same specification gives the same adapter on the same machine, whether it was interrupted or not.
"""

from __future__ import annotations

import math
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict

from .model import trainable
from .packing import loss, portions
from .rows import Example
from .telling import say

WARM_UP = 0.1
"""Part of the steps in which the learning rate rises; from there it falls linearly to 0."""
LONGEST_GRADIENT = 1.0


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of the training."""

    losses: dict[str, float]
    """Of the epoch that was kept, with its number."""
    seconds: float
    """What all epochs took."""
    earlier_seconds: float
    """What those of them took that an interrupted run had done."""


def fit(model: Any, train: list[Example], validation: list[Example], spec: dict[str, Any], kept: Path) -> Fitted:
    """Train all epochs that the file `kept` does not hold yet, and leave the best in the model.

    The best is the epoch with the lowest loss on the validation rows, and the last where there are none.
    """
    steps = spec["epochs"] * math.ceil(len(train) / spec["batch"])
    optimizer = torch.optim.AdamW(trainable(model), lr=spec["learning_rate"], weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: slope(step, steps))
    done = _resumed(kept, model, optimizer, schedule)
    earlier = done["seconds"]
    for epoch in range(done["epochs"], spec["epochs"]):
        began = time.monotonic()
        losses = {"epoch": epoch + 1.0, "train_loss": _epoch(model, optimizer, schedule, train, spec, epoch)}
        if validation:
            losses["validation_loss"] = _validated(model, validation, spec)
        now = {name: weights.detach().cpu().clone() for name, weights in get_peft_model_state_dict(model).items()}
        if losses.get("validation_loss", -math.inf) <= done["least"]:
            done |= {"least": losses.get("validation_loss", math.inf), "best": now, "losses": losses}
        done |= {"epochs": epoch + 1, "now": now, "seconds": done["seconds"] + time.monotonic() - began}
        done |= {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        torch.save(done, kept.with_suffix(".part"))
        os.replace(kept.with_suffix(".part"), kept)
        say(event="epoch", **losses)
    set_peft_model_state_dict(model, done["best"])
    return Fitted(done["losses"], done["seconds"], earlier)


def slope(step: int, steps: int) -> float:
    """Return the part of the learning rate that a step is given."""
    rising = max(1, round(WARM_UP * steps))
    return (step + 1) / rising if step < rising else max(0.0, (steps - step) / max(1, steps - rising))


def _resumed(kept: Path, model: Any, optimizer: Any, schedule: Any) -> dict[str, Any]:
    if not kept.exists():
        return {"epochs": 0, "least": math.inf, "seconds": 0.0}
    done: dict[str, Any] = torch.load(kept, map_location="cpu", weights_only=True)
    set_peft_model_state_dict(model, done["now"])
    optimizer.load_state_dict(done["optimizer"])
    schedule.load_state_dict(done["schedule"])
    say(event="resumed", epoch=done["epochs"])
    return done


def _epoch(
    model: Any, optimizer: Any, schedule: Any, examples: list[Example], spec: dict[str, Any], epoch: int
) -> float:
    """Train on every row once, in an order that the seed and the epoch's number give; return the mean loss a token."""
    torch.manual_seed(spec["seed"] + epoch)
    order = random.Random(f"{spec['seed']}/{epoch}").sample(examples, len(examples))
    batches = [order[at : at + spec["batch"]] for at in range(0, len(order), spec["batch"])]
    summed = 0.0
    model.train()
    for number, batch in enumerate(batches, 1):
        answered, lost = sum(len(one.answer) for one in batch), 0.0
        for part in portions(batch, spec["tokens_at_once"]):
            lost_here = loss(model, part)
            (lost_here / answered).backward()
            lost += float(lost_here.detach())
        torch.nn.utils.clip_grad_norm_(trainable(model), LONGEST_GRADIENT)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        summed += lost
        say(event="step", step=epoch * len(batches) + number, steps=spec["epochs"] * len(batches), loss=lost / answered)
    return summed / sum(len(one.answer) for one in examples)


def _validated(model: Any, examples: list[Example], spec: dict[str, Any]) -> float:
    """Return the mean loss a token on rows that are not learned from."""
    model.eval()
    with torch.no_grad():
        summed = sum(float(loss(model, part)) for part in portions(examples, spec["tokens_at_once"]))
    return summed / sum(len(one.answer) for one in examples)
