"""What was measured, against what was promised."""

from __future__ import annotations

from typing import NamedTuple


class Budget(NamedTuple):
    """A limit in the unit of its figure."""

    limit: float
    at_least: bool = False


CALL_MS = Budget(1.5)
"""CPU of one connected call: SWML, two SIP legs, media set up, callbacks stored."""
RELAY_PERCENT = Budget(11.0)
"""Of one core, for 100 relayed G.711 calls with RTCP statistics."""
G722_PERCENT = Budget(33.0)
"""Of one core, for 100 calls between PCMU and G722."""
OPUS_PERCENT = Budget(100.0)
SRTP_PERCENT = Budget(18.0)
"""Of one core, for 100 calls between SRTP and RTP."""
SETUP_P50_MS, SETUP_P99_MS = Budget(5.0), Budget(20.0)
"""What a server may add to the time that a call takes to come up, at 50 calls a second."""
CALL_KIB = Budget(150.0)
"""Resident memory of one idle connected call."""
RELAY_CALL_MS = Budget(2.5)
"""CPU of one call that a RELAY client drives: answer, a short play, a connect, the end of both legs."""
EVENTS_A_SECOND = Budget(5_000.0, at_least=True)
"""Events of RELAY, delivered in order to 1,000 clients by one core."""


class Figure(NamedTuple):
    """One line of the table."""

    name: str
    value: float
    unit: str
    budget: Budget | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """None: there is no budget."""
        if self.budget is None:
            return None
        limit, at_least = self.budget
        return self.value >= limit if at_least else self.value <= limit


def table(figures: list[Figure]) -> str:
    """All figures with their budgets, in columns."""
    rows = [("figure", "value", "budget", "", "")]
    rows += [(f.name, _with_unit(f.value, f.unit), _limit(f), _verdict(f), f.note) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    name, value, limit, verdict = (
        cell.rjust(width) if column in (1, 2) else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row[:4], widths, strict=True))
    )
    return f"{name}  {value}  {limit}  {verdict}  {row[4]}".rstrip()


def _with_unit(value: float, unit: str) -> str:
    digits = 0 if unit in ("calls/s", "events/s", "KiB") else 2
    return f"{value:.{digits}f} {unit}"


def _limit(figure: Figure) -> str:
    if figure.budget is None:
        return ""
    sign = "≥" if figure.budget.at_least else "≤"
    return f"{sign} {figure.budget.limit:g} {figure.unit}"


def _verdict(figure: Figure) -> str:
    met = figure.is_met
    return "" if met is None else "met" if met else "NOT MET"
