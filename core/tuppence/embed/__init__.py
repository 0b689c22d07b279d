"""Embeddings, and where they come from."""

from tuppence.embed.embedder import Embedder, Vector, Vectors, unit
from tuppence.embed.minilm import MiniLM
from tuppence.embed.naming import model_of, name_of
from tuppence.embed.openai import OpenAIEmbedder

__all__ = ["Embedder", "MiniLM", "OpenAIEmbedder", "Vector", "Vectors", "model_of", "name_of", "unit"]
