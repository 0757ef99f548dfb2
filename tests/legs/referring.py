"""A call that is up, in either direction and by any transport, whose far end we refer somewhere else."""

from __future__ import annotations

from typing import Any

from cordboard.call.effects import ReferLeg
from cordboard.call.facts import ReferProgressed
from cordboard.call.reasons import Ending
from cordboard.sip.events import RequestDone, RequestReceived
from cordboard.sip.message import Request

from .leg_bench import CALLED, FAR, LegBench

CAROL = "sip:carol@example.com"


class Referred:
    """`told`: what the call has heard of it so far."""

    def __init__(self, direction: str = "in") -> None:
        self.bench = LegBench()
        if direction == "in":
            self.call_id, self.session = self.bench.answered_call_in()
        else:
            self.session, self.call_id = self.bench.answered_call_out(), CALLED
        self.bench.told.clear()

    def refer(self, to: str = CAROL, **changes: Any) -> None:
        bench = self.bench
        bench.do(bench.legs.refer(self.call_id, ReferLeg(to=to, **changes), bench.now))
        bench.run()

    # ------------------------------------------------------------ the far end

    def asked(self) -> list[RequestReceived]:
        """The REFERs that have arrived."""
        seen = [
            e for _, where, e in self.bench.wire.events if where == FAR and isinstance(e, RequestReceived)
        ]
        return [event for event in seen if event.request.method == "REFER"]

    @property
    def request(self) -> Request:
        """The last of them."""
        return self.asked()[-1].request

    def answer(self, status: int = 202, **headers: str) -> None:
        bench, fields = self.bench, [(name.replace("_", "-"), value) for name, value in headers.items()]
        bench.put(bench.far.respond(self.asked()[-1].transaction, status, headers=fields, now=bench.now))
        bench.run()

    def notify(
        self, line: str, state: str = "active;expires=60", event: str = "refer", **changes: Any
    ) -> None:
        bench = self.bench
        fields = [("Event", event), ("Content-Type", changes.get("content", "message/sipfrag;version=2.0"))]
        fields += [("Subscription-State", state)] if state else []
        body = changes.get("body", f"SIP/2.0 {line}\r\n".encode())
        bench.put(bench.far.request(self.session, "NOTIFY", body=body, headers=fields, now=bench.now))
        bench.run()

    def finished(self, line: str = "200 OK") -> None:
        self.notify(line, "terminated;reason=noresource")

    def outcomes(self) -> list[int | None]:
        """What we have answered to each NOTIFY."""
        done = [e for _, where, e in self.bench.wire.events if where == FAR and isinstance(e, RequestDone)]
        return [e.response.status if e.response else None for e in done if e.method == "NOTIFY"]

    # ------------------------------------------------------------ the call

    def told(self) -> list[tuple[int | None, int | None, bool]]:
        """(status of the REFER, status in the NOTIFY, last word) of each."""
        return [(one.refer_code, one.notify_code, one.is_final) for one in self.progress()]

    def progress(self) -> list[ReferProgressed]:
        return [fact for fact in self.bench.facts(self.call_id) if isinstance(fact, ReferProgressed)]

    def cause(self) -> str:
        """Of the failure that was told last."""
        return self._failure().cause

    def sentence(self) -> str:
        return self._failure().sentence

    def _failure(self) -> Ending:
        failure = self.progress()[-1].ending
        assert failure is not None
        return failure

    def hang_up(self) -> None:
        """By the far end."""
        self.bench.put(self.bench.far.bye(self.session, now=self.bench.now))
        self.bench.run()

    def ends_well(self) -> None:
        bench = self.bench
        bench.end(self.call_id)
        bench.comes_to_rest()
        assert bench.legs.timed == {}
