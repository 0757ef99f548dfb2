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
from cordboard.call.reasons import Ending
from cordboard.call.running import Outcome
from cordboard.call.steered import Steered

NOT_TOLD = "The call ended before the far end had told how its new call went."


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
        return self._finish("success" if _succeeded(fact) else "failed", fact.sentence)

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """The far end is leaving."""
        if self._state == "asked":
            return self._finish("failed", NOT_TOLD)
        self._state = "over"
        return []

    # -------------------------------------------------- inside

    def _finish(self, state: str, sentence: str) -> list[Effect]:
        self._state = "over"
        self.result = Done()
        return [self._report(state, sentence)]

    def _report(self, state: str, sentence: str = "") -> Effect:
        happening = ReferStateChanged(
            state=state,
            to=self._action.to,
            refer_code=self._last.refer_code,
            notify_code=self._last.notify_code,
            sentence=sentence,
        )
        return Report(happening=happening, callback_url=self._action.status_url)


def _succeeded(fact: ReferProgressed) -> bool:
    """The new call was answered; or nobody tells, but the REFER was accepted (RFC 4488)."""
    codes = [code for code in (fact.refer_code, fact.notify_code) if code is not None]
    return bool(codes) and not fact.sentence and all(200 <= code < 300 for code in codes)
