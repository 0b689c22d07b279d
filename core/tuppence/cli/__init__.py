"""The command line. Each command is a thin call into the rooms below, and loads what it needs when it runs."""

from tuppence.cli.commands import app

__all__ = ["app"]
