"""The effects of a call that its leg carries out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cordboard.call import effects as fx
from cordboard.call.call import Call
from cordboard.legs import outputs as out
from cordboard.legs.sip_legs import SipLegs

Perform = Callable[[Call, Any], None]

LegCommand = Callable[[str, Any, float], list[out.Output]]
"""(call id, effect, now)."""


def leg_performers(legs: SipLegs, carry: Callable[[list[out.Output]], None]) -> dict[type, Perform]:
    """Who carries an effect out.  `carry`: carries out what the legs want then."""
    loop = asyncio.get_running_loop()

    def by_leg(command: LegCommand) -> Perform:
        def perform(call: Call, effect: Any) -> None:
            carry(command(call.info.call_id, effect, loop.time()))

        return perform

    return {
        fx.RingLeg: by_leg(legs.ring),
        fx.AnswerLeg: by_leg(legs.answer),
        fx.EndLeg: by_leg(legs.end),
        fx.PassDigit: by_leg(legs.pass_digit),
        fx.SendDigitsTo: by_leg(legs.send_digits),
        fx.ReportTransfer: by_leg(legs.report_transfer),
        fx.ReferLeg: by_leg(legs.refer),
        fx.HoldLeg: by_leg(legs.hold),
    }
