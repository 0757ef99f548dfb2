"""The table of docs/troubleshooting.md says what `causes` says.

`.venv/bin/python tests/call/test_causes_page.py` writes it anew.
"""

from __future__ import annotations

from pathlib import Path

from cordboard.call.causes import CAUSES, Cause
from cordboard.call.reasons import RELAY_WORDS

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
BEGIN, END = "<!-- causes: begin -->\n", "<!-- causes: end -->\n"
HEAD = (
    "| cause | far end's code | `connect_failed_reason` | RELAY | caller gets | sentence |\n"
    "|---|---|---|---|---|---|\n"
)
OPEN = {"redirected": "3xx", "refused": "all others"}
"""Causes of codes that no row lists."""


def table() -> str:
    return HEAD + "".join(row(cause) for cause in CAUSES.values())


def row(cause: Cause) -> str:
    codes = ", ".join(str(code) for code in cause.statuses) or OPEN.get(cause.key, "")
    relay = cause.relay_word or RELAY_WORDS[cause.reason]
    caller = f"the same, else {cause.caller_code}" if cause.passed_on else str(cause.caller_code)
    cells = (f"`{cause.key}`", codes, f"`{cause.reason.value}`", f"`{relay}`", caller, sentence(cause))
    return f"| {' | '.join(cells)} |\n"


def sentence(cause: Cause) -> str:
    closes = cause.sentence.endswith("{detail}")
    detail = "DETAIL" if closes else " (DETAIL)"
    return cause.sentence.format(who="WHO", code="CODE", text="TEXT", detail=detail)


def around(page: str) -> tuple[str, str, str]:
    """What stands before the table, the table, and what stands after it."""
    before, _, rest = page.partition(BEGIN)
    inside, _, after = rest.partition(END)
    return before + BEGIN, inside, END + after


def test_the_page_has_a_row_for_each_cause_and_says_the_same() -> None:
    _, shown, _ = around(PAGE.read_text(encoding="utf-8"))
    remedy = "refresh it: .venv/bin/python tests/call/test_causes_page.py"
    assert shown.splitlines() == table().splitlines(), remedy


def test_no_sentence_breaks_the_table() -> None:
    assert not [cause.key for cause in CAUSES.values() if "|" in cause.sentence or "\n" in cause.sentence]


if __name__ == "__main__":
    before, _, after = around(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(before + table() + after, encoding="utf-8")
