"""The shapes that parts of a configuration have. An unknown key is refused by all of them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class Strict(BaseModel):
    """Refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class Nothing(Strict):
    """A part without settings."""


class OneOf(Strict):
    """A part that is one of several kinds, named by its only key; a bare word is a kind without settings."""

    what: ClassVar[str] = "part"
    alternatives: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {value: {}}
        return {k: {} if v is None else v for k, v in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _exactly_one(self) -> OneOf:
        if len(self.model_fields_set) != 1:
            named = ", ".join(sorted(self.model_fields_set)) or "none"
            raise ValueError(f"a {self.what} has one name, this one has {named}{self.alternatives}")
        return self

    @property
    def chosen(self) -> tuple[str, Any]:
        """The name that stands in the file, and what it was given."""
        (name,) = self.model_fields_set
        return name, getattr(self, name)
