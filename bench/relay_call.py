"""What a call costs that a RELAY client drives: answer, a short play, a connect, the end of both legs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bench.relay_producer import SECTIONS
from bench.relay_program import Program
from bench.report import RELAY_CALL_MS, Figure
from bench.settings import Settings
from bench.signalling import WARM_RATE, WARM_SECONDS, complain, doubt, outcome, place, shares
from bench.sipp_load import Callee
from bench.subject import Subject


def call(settings: Settings) -> Iterator[Figure]:
    """CPU time of the server from INVITE to the last `ended`, at two rates."""
    cores, priority = settings.cores, settings.priority
    with (
        Callee(core=cores.load, priority=priority) as callee,
        Subject(sections=SECTIONS, core=cores.server, priority=priority) as server,
        Program(server.http_port, callee.port, core=cores.load, priority=priority) as program,
    ):
        place(settings, callee, server, WARM_RATE, WARM_SECONDS)
        program.seen()
        for rate in (settings.cost_rate, settings.busy_rate):
            load, used = place(settings, callee, server, rate, settings.cost_seconds)
            seen = program.seen()
            print(f"  {load.asked} calls at {rate}/s, {outcome(load)}; {_told(seen, load.asked)}")
            print(f"    {shares(used, load.asked)}")
            a_call = used.total / load.asked * 1000
            note = doubt(load) or _incomplete(seen, load.asked)
            yield Figure(f"CPU a call driven through RELAY, {rate}/s", a_call, "ms", RELAY_CALL_MS, note)
        complain(server)


def _told(seen: Counter[str], calls: int) -> str:
    refused = [f"{count} times {what}" for what, count in seen.items() if what.startswith("refused")]
    return f"{seen['events'] / calls:.1f} events a call; {', '.join(refused) or 'nothing refused'}"


def _incomplete(seen: Counter[str], calls: int) -> str:
    whole = seen["receive"] == seen["connected"] == seen["disconnected"] == calls
    if whole and seen["ended"] == 2 * calls:
        return ""
    return f"the program saw {seen['receive']} calls, {seen['connected']} connected, {seen['ended']} legs end"
