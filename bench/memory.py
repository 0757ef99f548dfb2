"""What an idle connected call keeps in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.generator import Generator
from bench.report import CALL_KIB, Figure
from bench.settings import Settings
from bench.subject import Subject, connect_document

_WARM_CALLS = 20
"""What the first calls bring with them (imports, compiled documents, caches) is no cost of a call."""


def memory(settings: Settings) -> Iterator[Figure]:
    """Growth of the resident memory of control process and workers with calls that only last."""
    cores, calls = settings.cores, settings.idle_calls
    with (
        Generator(calls, core=cores.load, priority=settings.priority) as load,
        Subject(connect_document(load.callee_port), core=cores.server, priority=settings.priority) as server,
    ):
        load.place(server.port, rate=50, count=_WARM_CALLS)
        load.end()
        time.sleep(1.0)
        before = server.resident_kib()
        first, answered = _grown(load, server, before)
        load.end()
        second, _ = _grown(load, server, before)
        load.end()
        said = server.log()
    print(f"  at rest: control {before[0]} KiB, workers {before[1]} KiB")
    print(f"  {answered} calls: control + {first[0]} KiB, workers + {first[1]} KiB")
    print(f"  the same again, while these linger: + {second[0]} KiB, + {second[1]} KiB")
    if said:
        print(f"  the server says:\n{said[-1500:]}")
    note = "" if answered == calls else f"only {answered} of {calls} calls were answered"
    yield Figure("memory a call", sum(first) / max(1, answered), "KiB", CALL_KIB, note)
    yield Figure("memory a call, as many just ended", sum(second) / max(1, answered), "KiB")


def _grown(load: Generator, server: Subject, before: tuple[int, int]) -> tuple[tuple[int, int], int]:
    """(control, workers) in KiB with all calls up, and how many that are."""
    answered = load.place(server.port, rate=50).answered
    time.sleep(1.0)
    control, workers = server.resident_kib()
    return (control - before[0], workers - before[1]), answered
