"""LangChain's warnings about its own beta parts, which the user of this integration neither chose nor can avoid."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def beta_allowed() -> Iterator[None]:
    """Use a beta part of LangChain without a warning."""
    from langchain_core._api import LangChainBetaWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LangChainBetaWarning)
        yield
