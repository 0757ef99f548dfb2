"""The action `Refer`: ask the far end to call somebody else (RFC 3515), and say how that went.

The far end answers the REFER, then tells in NOTIFYs how its new call goes.  `inProgress` is reported with
what is known each time that it changes; `success` needs a 2xx and no other last word.  The call stays until
the far end hangs up.  One that hangs up before it has told is not known to have succeeded: `failed`.

It has no control id: a call has one at a time.
"""

from __future__ import annotations

from cordboard.call.actions import Done, Refer, Result
from cordboard.call.effects import Effect, ReferLeg, ReferStateChanged, Report
from cordboard.call.facts import Fact, ReferProgressed
from cordboard.call.reasons import Ending, ending, ending_of_status
from cordboard.call.running import Outcome
from cordboard.call.steered import Steered


class Referring(Steered):
    """States: fresh, asked, over."""

    __slots__ = ("_action", "_last", "_state", "result")

    kind = "refer"
    control_id = ""
    outcome = Outcome(message="Referring")

    def __init__(self, action: Refer) -> None:
        self._action = action
        self._last = ReferProgressed()
        self._state = "fresh"
        self.result: Result | None = None

    @property
    def is_over(self) -> bool:
        """Its last report is out."""
        return self._state == "over"

    def start(self, now: float) -> list[Effect]:
        """Send the REFER."""
        self._state = "asked"
        action = self._action
        refer = ReferLeg(
            to=action.to, headers=action.headers, username=action.username, password=action.password
        )
        return [refer]

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Take what the far end tells."""
        if not isinstance(fact, ReferProgressed) or self._state != "asked" or fact == self._last:
            return []
        self._last = fact
        if not fact.is_final:
            return [self._report("inProgress")]
        return self._finish(self._failure(fact))

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The far end is leaving."""
        if self._state == "asked":
            return self._finish(_untold("the call ended before"))
        self._state = "over"
        return []

    # -------------------------------------------------- inside

    def _failure(self, fact: ReferProgressed) -> Ending | None:
        """None: the new call was answered; or nobody tells, but the REFER was accepted (RFC 4488)."""
        if fact.ending is not None:
            return fact.ending
        if fact.notify_code is not None and fact.notify_code >= 300:
            return ending_of_status(fact.notify_code, who=self._action.to)
        codes = [code for code in (fact.refer_code, fact.notify_code) if code is not None]
        return None if codes and all(200 <= code < 300 for code in codes) else _untold()

    def _finish(self, failure: Ending | None) -> list[Effect]:
        self._state = "over"
        self.result = Done()
        return [self._report("success" if failure is None else "failed", failure)]

    def _report(self, state: str, failure: Ending | None = None) -> Effect:
        happening = ReferStateChanged(
            state=state,
            to=self._action.to,
            refer_code=self._last.refer_code,
            notify_code=self._last.notify_code,
            ending=failure,
        )
        return Report(happening=happening, callback_url=self._action.status_url)


def _untold(why: str = "") -> Ending:
    return ending("refer_untold", detail=why)
