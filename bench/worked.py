"""Calls whose packets cannot be passed on as they are: transcoded, encrypted, recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bench.generator import Generator
from bench.report import G722_PERCENT, OPUS_PERCENT, SRTP_PERCENT, Budget, Figure
from bench.settings import Settings
from bench.subject import Subject, connect_document

_SETTLE = 2.0
_RATE = 50


class Kind(NamedTuple):
    """One way to make a packet worth more work; the caller speaks PCMU."""

    name: str
    callee_codec: str
    budget: Budget | None
    secure: bool = False
    before: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


KINDS = (
    Kind("PCMU-G722", "G722", G722_PERCENT, more=("codecs: G722",)),
    Kind("PCMU-OPUS", "OPUS", OPUS_PERCENT, more=("codecs: OPUS",)),
    Kind("RTP-SRTP", "PCMU", SRTP_PERCENT, secure=True, more=("encryption: mandatory",)),
    Kind("recorded", "PCMU", None, before=("answer: {}", "record_call: {stereo: true}")),
)


def worked(settings: Settings) -> Iterator[Figure]:
    """CPU of both kinds of process for 100 calls, 50 packets a second each way."""
    for kind in KINDS:
        yield from _worked(settings, kind)


def _worked(settings: Settings, kind: Kind) -> Iterator[Figure]:
    cores, priority, calls = settings.cores, settings.priority, settings.worked_calls
    with (
        Generator(
            calls, callee_codec=kind.callee_codec, secure=kind.secure, core=cores.load, priority=priority
        ) as load,
        Subject(
            connect_document(load.callee_port, before=kind.before, more=kind.more),
            core=cores.server,
            priority=priority,
        ) as server,
    ):
        placed = load.place(server.port, rate=_RATE)
        load.begin_talking(_SETTLE)
        load.talked()
        before = server.cost()
        load.begin_talking(settings.relay_seconds)
        talked = load.talked()
        used = server.cost().since(before)
        load.end()
        said = server.log()
    share = 100 / settings.relay_seconds
    heard = talked.received + talked.foreign
    print(
        f"  {kind.name}: workers {used.workers.total * share:.1f} % of a core, control "
        f"{used.control.total * share:.1f} %; {talked.sent} packets sent, {heard} heard"
    )
    if said:
        print(f"  the server says:\n{said[-1500:]}")
    note = "" if placed.answered == placed.asked else f"only {placed.answered} answered {placed.refused}"
    percent = used.total * share * 100 / calls
    yield Figure(f"100 calls {kind.name}, of a core", percent, "%", kind.budget, note)
    yield Figure(f"100 calls {kind.name}, heard of sent", 100 * heard / max(1, talked.sent), "%")
