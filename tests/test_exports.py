"""The public names, pinned: adding or removing one is a decision, never an accident."""

import ast
import importlib
from pathlib import Path

import pytest

PUBLIC: dict[str, list[str]] = {
    "tuppence": [
        "Additions",
        "Attempt",
        "Budget",
        "Budgets",
        "Decision",
        "Message",
        "Policy",
        "PostgresLedger",
        "PrefixPlanner",
        "PriceBook",
        "Reply",
        "Request",
        "Result",
        "Retries",
        "SqliteLedger",
        "Tier",
        "ToolCall",
        "TuppenceError",
        "Usage",
        "Verdict",
        "cache_tags",
        "function_tier",
        "gpu_hour_rate",
        "logical_call",
        "record_feedback",
        "switch_off",
        "switch_on",
        "tags",
        "token_rate",
        "via",
        "wrap",
    ],
    "langchain_tuppence": [
        "BudgetCallbackHandler",
        "BudgetMiddleware",
        "CachedChain",
        "CachedEmbeddings",
        "ChatTuppence",
        "ContextMiddleware",
        "ContextPruner",
        "PointerParser",
        "SalvagingPointerParser",
        "SpendCallbackHandler",
        "SpendEmbeddings",
        "SpendReranker",
        "TierSpec",
        "TuppenceCache",
        "as_embedder",
        "cached",
        "function_tier",
        "prune_history",
        "spend",
        "tags",
        "tier",
    ],
    "llama_index_tuppence": [
        "BudgetHandler",
        "CachedEmbedding",
        "CachedQueryEngine",
        "ContextPruner",
        "HistoryMemoryBlock",
        "PointerParser",
        "SalvagingPointerParser",
        "SpendCallbackHandler",
        "SpendEventHandler",
        "TuppenceLLM",
        "as_embedder",
        "cached",
        "function_tier",
        "spend",
        "tags",
        "tier",
    ],
}


@pytest.mark.parametrize("package", PUBLIC)
def test_the_public_names_are_these_and_sorted(package: str) -> None:
    """`__all__` is exactly this list, in an order that shows additions in a diff."""
    names = importlib.import_module(package).__all__
    assert list(names) == sorted(PUBLIC[package])


@pytest.mark.parametrize("package", PUBLIC)
def test_a_type_checker_can_read_the_public_names(package: str) -> None:
    """`__all__` is written out: computed, it makes `mypy --strict` refuse the names in users' programs."""
    source = Path(str(importlib.import_module(package).__file__)).read_text(encoding="utf-8")
    (names,) = [
        statement.value
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
    ]
    assert isinstance(names, ast.List | ast.Tuple)
    assert [ast.literal_eval(name) for name in names.elts] == sorted(PUBLIC[package])


@pytest.mark.parametrize(("package", "name"), [(package, name) for package, names in PUBLIC.items() for name in names])
def test_a_public_name_is_there_and_is_found(package: str, name: str) -> None:
    """A name that is promised can be had, lazy or not, and an editor's `dir` shows it."""
    module = importlib.import_module(package)
    assert getattr(module, name) is not None
    assert name in dir(module)


@pytest.mark.parametrize("package", PUBLIC)
def test_a_name_that_is_not_public_is_refused_as_python_does(package: str) -> None:
    """A lazy module raises the AttributeError that `hasattr` and `import` rely on, and names itself."""
    with pytest.raises(AttributeError, match=package):
        _ = importlib.import_module(package).no_such_name
