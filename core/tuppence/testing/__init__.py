"""Fakes for tests of programs that use tuppence: a scripted provider that the real SDKs talk to."""

from tuppence.testing.openai_embeddings import embedding
from tuppence.testing.script import Fault, Turn, tokens_of
from tuppence.testing.served import Served
from tuppence.testing.server import ProviderServer

__all__ = ["Fault", "ProviderServer", "Served", "Turn", "embedding", "tokens_of"]
