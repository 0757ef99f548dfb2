"""A call that is up, in either direction, whose far end we hold; it answers as the test says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cordboard.call.effects import HoldLeg
from cordboard.call.facts import Fact, HoldAnswered
from cordboard.legs.rules import LegRules
from cordboard.media.protocol import SetRemote
from cordboard.sdp import PCMU, Codec, answer_offer, parse
from cordboard.sip.events import ReinviteReceived

from .leg_bench import CALLED, FAR, LegBench

HELD = HoldAnswered(held=True)
FREE = HoldAnswered(held=False)


def mirrored(offer: bytes, direction: str, codecs: Sequence[Codec] = (PCMU,), **how: Any) -> bytes:
    """What a far end that wants `direction` answers."""
    values: dict[str, Any] = {"address": FAR.address, "port": 4000, "session_id": 9, "version": 7}
    return answer_offer(parse(offer), codecs=codecs, direction=direction, **{**values, **how}).body


class Held:
    """`facts`: what the call has heard since it is up."""

    def __init__(
        self, direction: str = "in", rules: LegRules | None = None, body: bytes | None = None
    ) -> None:
        self.bench = LegBench(rules=rules or LegRules())
        if direction == "in":
            self.call_id, self.session = self.bench.answered_call_in(body)
        else:
            self.session, self.call_id = self.bench.answered_call_out(), CALLED
        self.bench.told.clear()

    # ------------------------------------------------------------ we

    def ask(self, on: bool) -> None:
        """Without an answer of the far end."""
        bench = self.bench
        bench.do(bench.legs.hold(self.call_id, HoldLeg(on=on), bench.now))
        bench.run()

    def hold(self, direction: str = "sendrecv") -> None:
        self.ask(True)
        self.accept(direction)

    def resume(self, direction: str = "sendrecv") -> None:
        self.ask(False)
        self.accept(direction)

    @property
    def facts(self) -> list[Fact]:
        return self.bench.facts(self.call_id)

    @property
    def orders(self) -> list[tuple[bool, bool]]:
        """(sending, receiving) of each order for the worker."""
        return [(order.sending, order.receiving) for order in self.commands]

    @property
    def commands(self) -> list[SetRemote]:
        return [order.command for order in self.bench.media_orders(self.call_id)]

    # ------------------------------------------------------------ the far end

    def asked(self) -> list[ReinviteReceived]:
        """Our re-INVITEs that have arrived."""
        return [
            e for _, where, e in self.bench.wire.events if where == FAR and isinstance(e, ReinviteReceived)
        ]

    @property
    def offer(self) -> bytes:
        """The last of them."""
        return self.asked()[-1].request.body

    @property
    def direction(self) -> str:
        """Of our last offer."""
        description = parse(self.offer)
        return description.direction_of(description.media[0])

    @property
    def version(self) -> int:
        origin = parse(self.offer).origin
        assert origin is not None
        return int(origin.version)

    def accept(self, direction: str = "sendrecv", **how: Any) -> None:
        self.respond(200, mirrored(self.offer, direction, **how))

    def respond(self, status: int, body: bytes = b"", *headers: tuple[str, str]) -> None:
        bench, transaction = self.bench, self.asked()[-1].transaction
        bench.put(bench.far.respond(transaction, status, body=body, headers=headers, now=bench.now))
        bench.run()

    def hang_up(self) -> None:
        self.bench.put(self.bench.far.bye(self.session, now=self.bench.now))
        self.bench.run()

    def ends_well(self) -> None:
        self.bench.end(self.call_id)
        self.bench.comes_to_rest()
