"""The report of behavioural cases: `make cases` prints each id, whether it passed, and what was observed.

A test names its cases in its docstring (`K1`, `F1, F3`, `N1 to N5`), or a row of it in its parameter's id.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

_SPEC = Path(__file__).parents[2] / "shared" / "spec" / "connect-cases.md"
_LATER = re.compile(r"[UWA]\d+|H16|V11|N16")
"""Queues, streams, resource addresses, WebRTC: what connects only to phones cannot have them."""
_ID = re.compile(r"\b([SOTFCKVHBXMGN])(\d{1,2})\b(?: to \1(\d{1,2}))?")
_LONGEST = 90


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", action="store_true", help="run the behavioural cases and print their table")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--cases"):
        others = [item for item in items if not _cases_of(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _cases_of(item)]


def _cases_of(item: pytest.Item) -> list[str]:
    function = getattr(item, "function", None)
    own = _ids(item.callspec.id) if hasattr(item, "callspec") else []
    text = (getattr(function, "__doc__", None) or "").strip()
    told = _ids(text) if _ID.match(text) else []
    return [case for case in own if case in told] or told


def _ids(text: str) -> list[str]:
    """The ids in a text, ranges spelt out; those that no list knows do no harm."""
    found = []
    for match in _ID.finditer(text):
        first, last = int(match[2]), int(match[3] or match[2])
        found += [f"{match[1]}{number}" for number in range(first, last + 1)]
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and item.config.getoption("--cases"):
        item.user_properties.append(("cases", (_cases_of(item), _observed(item))))
        report.user_properties = list(item.user_properties)
    return report


def _observed(item: pytest.Item) -> str:
    """What the laboratory saw, else what the test is called."""
    case = getattr(item, "funcargs", {}).get("case")
    seen = str(case.observed()) if case is not None and hasattr(case, "observed") else ""
    return seen or item.name.partition("[")[0].removeprefix("test_").replace("_", " ")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("--cases"):
        return
    rows: dict[str, list[tuple[str, str]]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            for case, observed in _told_by(report):
                rows.setdefault(case, []).append((outcome, observed))
    wanted = _wanted() or sorted(rows, key=_order)
    for case in wanted:
        terminalreporter.write_line(_line(case, rows.get(case, [])))
    missing = [case for case in wanted if case not in rows]
    terminalreporter.write_line(f"{len(wanted)} cases, {len(missing)} without a test: {', '.join(missing)}")


def _told_by(report: Any) -> Iterable[tuple[str, str]]:
    for name, value in getattr(report, "user_properties", []):
        if name == "cases":
            cases, observed = value
            yield from ((case, observed) for case in cases)


def _line(case: str, results: list[tuple[str, str]]) -> str:
    if not results:
        return f"{case:<5} no test"
    verdict = "pass" if all(outcome == "passed" for outcome, _ in results) else "FAIL"
    observed = next((seen for outcome, seen in results if outcome != "passed"), results[0][1])
    tests = f" (+{len(results) - 1})" if len(results) > 1 else ""
    return f"{case:<5} {verdict}  {observed[:_LONGEST]}{tests}"


def _wanted() -> list[str]:
    """The cases that are specified, in their order."""
    if not _SPEC.exists():
        return []
    lines = _SPEC.read_text(encoding="utf-8").splitlines()
    ids = [line.split("|")[1].strip() for line in lines if line.startswith("| ") and line.count("|") > 3]
    return [case for case in ids if re.fullmatch(r"[A-Z]\d+", case) and not _LATER.fullmatch(case)]


def _order(case: str) -> tuple[str, int]:
    return case[0], int(case[1:])
