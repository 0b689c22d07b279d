"""Answers of a whole chain or query engine, kept: retrieval and models are spared together."""

from tuppence.answers.identity import fingerprint
from tuppence.answers.kept import Answers, CorpusVersion
from tuppence.answers.measured import RunSpend
from tuppence.answers.running import Form, Run, Unstorable

__all__ = ["Answers", "CorpusVersion", "Form", "Run", "RunSpend", "Unstorable", "fingerprint"]
