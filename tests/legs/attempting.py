"""What the tests of attempts share: dialling, refusing, and what the shell was asked for."""

from __future__ import annotations

from cordboard.call.facts import LegAnswered
from cordboard.legs.outputs import Target, Terms
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import InviteReceived

from .leg_bench import BOB, CALLED, FAR, LegBench

DEAD = Endpoint("UDP", "127.0.0.9", 5060)
FIRST = Target(request_uri=BOB, endpoint=DEAD)
SECOND = Target(request_uri=BOB, endpoint=FAR)
TRUNK = Terms(trunk="carrier")


def invites(bench: LegBench) -> int:
    """How many arrived at the far end."""
    return sum(isinstance(event, InviteReceived) for _, where, event in bench.wire.events if where == FAR)


def dialled(bench: LegBench, *targets: Target, terms: Terms | None = None, **changes: object) -> None:
    """An INVITE to the first of these."""
    bench.dial(**changes)
    bench.open_media(CALLED)
    bench.route(*targets, terms=terms)
    bench.run()


def refuse(bench: LegBench, status: int, *contacts: str) -> None:
    """The far end's final response to the INVITE that came last."""
    headers = [("Contact", contact) for contact in contacts]
    bench.put(bench.far.reject(bench.invited(), status=status, headers=headers, now=bench.now))
    bench.run()


def answer(bench: LegBench) -> None:
    bench.far_accepts(bench.invited())
    assert bench.facts(CALLED)[-1] == LegAnswered()


def asked(bench: LegBench) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the shell was asked for last: redirects, failed trunks."""
    return bench.asked().redirects, bench.asked().failed_trunks
