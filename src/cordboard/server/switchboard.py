"""All running calls, and the one queue through which facts reach them.

Facts go in from the legs, the media, the fetcher and other calls; they are taken out one at a time, in
order, so that nobody ever calls into a call.  The effects are handed to the performer, which decides nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from cordboard.call.call import Call
from cordboard.call.effects import CallOver, CallStateChanged, DialStateChanged, Effect, EndLeg, Report
from cordboard.call.facts import Fact, HangupRequested, PeerEnded
from cordboard.call.info import CallInfo
from cordboard.call.outgoing_dial import OutgoingDial
from cordboard.call.reasons import Ending, ending
from cordboard.server.runner import Runner

_log = logging.getLogger(__name__)

Actor = Call | OutgoingDial
"""What has a runner."""

Perform = Callable[[Any, Any], None]
"""Carries out one kind of effect of a call."""

Forgotten = Callable[[str], None]
"""Told of each call (or dial) that is over; must not raise."""


class _Due:
    """Stands in the queue for a call's beginning or its timer, so that it keeps its place among the facts."""


_BEGINNING, _TIMER_DUE = _Due(), _Due()


class Switchboard:
    """call id → runner."""

    def __init__(self, performers: Mapping[type, Perform]) -> None:
        self._performers = performers
        self._runners: dict[str, Runner] = {}
        self._queue: deque[tuple[str, Fact | _Due]] = deque()
        self._draining = False
        self._loop = asyncio.get_running_loop()
        self.defects = 0
        """Exceptions that a call's own code raised: always 0 unless there is a bug."""
        self.on_forgotten: Forgotten = _nobody
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._runners)

    def call(self, call_id: str) -> Call | None:
        actor = self.actor(call_id)
        return actor if isinstance(actor, Call) else None

    def actor(self, call_id: str) -> Actor | None:
        runner = self._runners.get(call_id)
        return runner.call if runner else None

    def calls(self) -> list[Call]:
        return [runner.call for runner in self._runners.values() if isinstance(runner.call, Call)]

    def start(self, call: Actor) -> None:
        """Take in a new call and let it begin."""
        runner = Runner(call, self._loop, self._timer_due)
        self._runners[call.info.call_id] = runner
        self._empty.clear()
        outermost, self._draining = not self._draining, True
        self._take(runner, _BEGINNING)
        if outermost:
            self._drain()

    def post(self, call_id: str, fact: Fact) -> None:
        """A fact for a call; dropped if the call is gone."""
        self._queue.append((call_id, fact))
        if not self._draining:
            self._drain()

    def forget(self, call_id: str) -> None:
        """The call is over."""
        runner = self._runners.pop(call_id, None)
        if runner is not None:
            runner.stop()
            self.on_forgotten(call_id)
        if not self._runners:
            self._empty.set()

    def hang_up_all(self, end: Ending) -> None:
        for call_id in list(self._runners):
            self.post(call_id, HangupRequested(ending=end))

    async def empty(self) -> None:
        """Wait until no call is left."""
        await self._empty.wait()

    # ------------------------------------------------------------ inside

    def _timer_due(self, call_id: str) -> None:
        self._queue.append((call_id, _TIMER_DUE))
        if not self._draining:
            self._drain()

    def _drain(self) -> None:
        self._draining = True
        queue, runners = self._queue, self._runners
        try:
            while queue:
                call_id, fact = queue.popleft()
                runner = runners.get(call_id)
                if runner is not None:
                    self._take(runner, fact)
        finally:
            self._draining = False

    def _take(self, runner: Runner, fact: Fact | _Due) -> None:
        """The last line of defence: a defect ends its own call with a reason, and no other."""
        call, performers = runner.call, self._performers
        try:
            if isinstance(fact, _Due):
                effects = self._begun_or_due(runner, fact)
            else:
                effects = call.handle(fact, self._loop.time())
                due = call.next_timeout()
                if due != runner.due:
                    runner.arm(due)
            for effect in effects:
                performers[type(effect)](call, effect)
        except Exception:
            self.defects += 1
            _log.exception("call %s: internal error; the call is ended", call.info.call_id)
            self._bury(runner)

    def _begun_or_due(self, runner: Runner, what: _Due) -> list[Effect]:
        return runner.start() if what is _BEGINNING else runner.time_out()

    def _bury(self, runner: Runner) -> None:
        """End a call whose own code failed, and tell everybody who waits for it."""
        call, end = runner.call, ending("internal_error")
        self.forget(call.info.call_id)
        for effect in _last_effects(call, end):
            try:
                self._performers[type(effect)](call, effect)
            except Exception:
                _log.exception("call %s: cannot be ended cleanly", call.info.call_id)
        self._tell_relatives(call, end)

    def _tell_relatives(self, call: Actor, end: Ending) -> None:
        call_id = call.info.call_id
        for relative in dict.fromkeys((_dialled_by(call.info), call.info.peer_call_id)):
            if relative is not None:
                self._queue.append((relative, PeerEnded(call_id=call_id, ending=end)))
        for other in self.calls():
            if _dialled_by(other.info) == call_id:
                self._queue.append((other.info.call_id, HangupRequested(ending=end)))


def _nobody(call_id: str) -> None:
    """Until somebody wants to know."""


def _dialled_by(info: CallInfo) -> str | None:
    """The call or the dial that has made this one; a dial may be over."""
    if info.parent_call_id is not None or info.direction == "inbound":
        return info.parent_call_id
    # A dial is no parent in the eyes of clients; the session of its calls bears its id.
    return info.session_id


def _last_effects(call: Actor, end: Ending) -> list[Effect]:
    """What a call that failed would have done at its end, as far as that is not done."""
    if isinstance(call, OutgoingDial):
        failed = Report(happening=DialStateChanged(state="failed", ending=end))
        return [*([] if call.is_over else [failed]), CallOver()]
    told = call.info.call_state == "ended"
    call.info.call_state = "ended"
    report = Report(happening=CallStateChanged(state="ended", ending=end), callback_url=_ended_url(call))
    return [EndLeg(ending=end, sip_code=500), *([] if told else [report]), CallOver()]


def _ended_url(call: Call) -> str | None:
    destination = call.destination
    if destination is None or "ended" not in destination.call_state_events:
        return None
    return destination.call_state_url
