"""What a configuration file may say of the batch lane, and the lane that it means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from tuppence.config.shapes import Strict
from tuppence.config.values import Label

if TYPE_CHECKING:
    from tuppence.batch.queue import Lane

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class LaneSettings(Strict):
    """Where calls that may wait do so, which calls those are, and how long they may take."""

    queue: Annotated[str, Field(min_length=1)]
    when: dict[str, Label | list[Label]] | None = None
    deadline_s: Positive | None = None
    least_s: NotNegative | None = None
    margin_s: NotNegative | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"queue": value} if isinstance(value, str) else value


def lane_of(settings: LaneSettings, folder: Path) -> Lane:
    """Make the lane; a path is relative to the file's folder, an address stays one. Opens nothing yet."""
    from tuppence.batch.queue import Lane

    place = settings.queue if "://" in settings.queue else folder / Path(settings.queue).expanduser()
    return Lane(place, **settings.model_dump(exclude={"queue"}, exclude_none=True))
