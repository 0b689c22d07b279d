"""`tuppence demo`: the same questions to a chain as it is and with tuppence, both really run, then the bill."""

from tuppence.demo.run import run

__all__ = ["run"]
