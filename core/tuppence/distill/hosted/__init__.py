"""Training at a provider: its jobs, survived and paid once."""

from tuppence.distill.hosted.booking import tier_of
from tuppence.distill.hosted.openai_jobs import OpenAIFineTune

__all__ = ["OpenAIFineTune", "tier_of"]
