"""What holds for every test: nobody's keys, nobody's home folder, and no skip where none is allowed.

Nothing here knows a room of the house; fixtures of a room live in the conftest of its own folder.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# Shared and slow machines are normal here: a property fails for being false, never for being slow.
SLOW = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("local", deadline=None, suppress_health_check=SLOW)
hypothesis.settings.register_profile("ci", deadline=None, suppress_health_check=SLOW, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

# Set by the make targets that name a service: its absence must then fail the run.
SKIPS_FAIL = os.environ.get("TUPPENCE_NO_SKIPS") == "1"


@pytest.fixture(scope="session", autouse=True)
def _nobodys_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Take away keys and tracing switches found in the environment; point per-user folders at scratch."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.endswith("_API_KEY") or name.startswith(("LANGSMITH_", "LANGCHAIN_")):
                patch.delenv(name)
        home: Path = tmp_path_factory.mktemp("home")
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(home / name))
        yield


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if SKIPS_FAIL and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\n(a skip is a failure here, because TUPPENCE_NO_SKIPS=1)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    _forbid_skip(report)
    return report
