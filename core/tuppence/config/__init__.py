"""A policy as a file: YAML in, everything that a model needs out. It loads pydantic and YAML: import it late."""

from tuppence.config.loading import Config, load_config
from tuppence.config.tiers import TierSpec

__all__ = ["Config", "TierSpec", "load_config"]
