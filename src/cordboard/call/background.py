"""Recordings and taps: what goes on beside a call's action, across bridges, until it is stopped.

Each has a `control_id`, by which a script or a client names it.  Those that a client began are its operations
(`listeners`), and lent to the background, so that a script that takes over can stop them.

They end with their call, but later than its leg: the file of a recording is complete only when its writer
says so.  So the call waits for them, for `LAST_WORDS` at most, and each recording has exactly one last
report.
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import (
    Record,
    RecordCall,
    RecordDone,
    RecordStarted,
    Result,
    Stopped,
    Tap,
    TapStarted,
)
from cordboard.call.effects import (
    Effect,
    PauseRecording,
    RecordStateChanged,
    Report,
    ResumeRecording,
    StartRecording,
    StartTap,
    StopRecording,
    StopTap,
    TapStateChanged,
)
from cordboard.call.facts import Fact, RecordingEnded, RecordingStarted, TapEnded, TapOpened

LAST_WORDS = 150.0
"""Seconds after the end of the leg that a recording or tap has to say how it ended.

Most need none of them; an mp3 of four hours takes more than a minute to be made.
"""

MAX_ITEMS = 20
"""That one call may have at a time."""


class Recorded:
    """One recording."""

    kind = "recording"

    def __init__(self, action: Record | RecordCall, control_id: str) -> None:
        self.control_id = control_id
        self.foreground = isinstance(action, Record)
        self._recording = action.recording
        self._status_url = action.status_url
        self._url = ""
        self._begun = False
        self._paused = False
        self._stopping = False
        self._ended: RecordingEnded | None = None

    @property
    def is_over(self) -> bool:
        """Its last report is out."""
        return self._ended is not None

    def start(self) -> list[Effect]:
        """Begin."""
        return [StartRecording(control_id=self.control_id, recording=self._recording)]

    def stop(self) -> list[Effect]:
        """Ask for the end, once."""
        if self._stopping or self.is_over:
            return []
        self._stopping = True
        return [StopRecording(control_id=self.control_id)]

    def pause(self, *, skip: bool) -> list[Effect] | None:
        """Silence, or nothing (`skip`), from here on; None where it does not record now."""
        if not self._records or self._paused:
            return None
        self._paused = True
        return [PauseRecording(control_id=self.control_id, skip=skip), self._report("paused")]

    def resume(self) -> list[Effect] | None:
        """Record again; None where it is not paused."""
        if not self._records or not self._paused:
            return None
        self._paused = False
        return [ResumeRecording(control_id=self.control_id), self._report("recording")]

    def handle(self, fact: Fact) -> list[Effect]:
        """Take what the writer says."""
        if isinstance(fact, RecordingStarted) and fact.control_id == self.control_id:
            return self._started(fact)
        if isinstance(fact, RecordingEnded) and fact.control_id == self.control_id:
            return self._finish(fact)
        return []

    def give_up(self) -> list[Effect]:
        """Its writer has said nothing in time."""
        lost = "The recording was not closed in time: its file may be incomplete."
        return self._finish(
            RecordingEnded(control_id=self.control_id, outcome="error", url=self._url, sentence=lost)
        )

    def started(self) -> Result | None:
        """What a script learns of the start, once it is known."""
        end = self._ended
        if not self._begun and end is None:
            return None
        failed = end is not None and end.outcome == "error"
        sentence = end.sentence if end is not None else ""
        return RecordStarted(ok=not failed, control_id=self.control_id, url=self._url, sentence=sentence)

    def done(self) -> Result | None:
        """What a script learns of the end.  Silence alone is no recording."""
        end = self._ended
        if end is None:
            return None
        sentence = end.sentence or ("Nothing was heard." if end.outcome == "no_input" else "")
        return RecordDone(
            ok=end.outcome == "finished",
            url=self._url,
            duration=end.duration,
            size=end.size,
            sentence=sentence,
        )

    def stopped(self) -> Result | None:
        """What a script learns that has stopped it."""
        end = self._ended
        if end is None:
            return None
        return Stopped(ok=end.outcome != "error", control_id=self.control_id, sentence=end.sentence)

    @property
    def _records(self) -> bool:
        return self._begun and not self._stopping and not self.is_over

    def _started(self, fact: RecordingStarted) -> list[Effect]:
        if self._begun or self.is_over:
            return []
        self._begun = True
        self._url = fact.url
        return [self._report("recording")]

    def _finish(self, fact: RecordingEnded) -> list[Effect]:
        if self.is_over:
            return []
        self._ended = fact
        self._url = fact.url or self._url
        return [self._report(fact.outcome, fact.duration, fact.size)]

    def _report(self, state: str, duration: float = 0.0, size: int = 0) -> Effect:
        happening = RecordStateChanged(
            control_id=self.control_id,
            state=state,
            recording=self._recording,
            url=self._url,
            duration=duration,
            size=size,
            foreground=self.foreground,
        )
        return Report(happening=happening, callback_url=self._status_url)


class Tapped:
    """One tap."""

    kind = "tap"
    foreground = False

    def __init__(self, action: Tap, control_id: str) -> None:
        self.control_id = control_id
        self._target = action.target
        self._status_url = action.status_url
        self._opened: TapOpened | None = None
        self._stopping = False
        self._ended: TapEnded | None = None

    @property
    def is_over(self) -> bool:
        """Nothing is copied any more."""
        return self._ended is not None

    def start(self) -> list[Effect]:
        """Begin."""
        return [StartTap(control_id=self.control_id, target=self._target)]

    def stop(self) -> list[Effect]:
        """Ask for the end, once."""
        if self._stopping or self.is_over:
            return []
        self._stopping = True
        return [StopTap(control_id=self.control_id)]

    def handle(self, fact: Fact) -> list[Effect]:
        """Take what the media say."""
        if isinstance(fact, TapOpened) and fact.control_id == self.control_id:
            return self._started(fact)
        if isinstance(fact, TapEnded) and fact.control_id == self.control_id:
            return self._finish(fact)
        return []

    def give_up(self) -> list[Effect]:
        """The media have said nothing in time."""
        return self._finish(TapEnded(control_id=self.control_id))

    def started(self) -> Result | None:
        """What a script learns of the start, once it is known."""
        opened = self._opened
        if opened is not None:
            return TapStarted(
                ok=True,
                control_id=self.control_id,
                source_address=opened.address,
                source_port=opened.port,
            )
        if self._ended is None:
            return None
        sentence = self._ended.sentence or "The tap could not be opened."
        return TapStarted(ok=False, control_id=self.control_id, sentence=sentence)

    def stopped(self) -> Result | None:
        """What a script learns that has stopped it."""
        return Stopped(ok=True, control_id=self.control_id) if self.is_over else None

    def _started(self, fact: TapOpened) -> list[Effect]:
        if self._opened is not None or self.is_over:
            return []
        self._opened = fact
        return [self._report("tapping")]

    def _finish(self, fact: TapEnded) -> list[Effect]:
        """A tap that never began has no event: its action tells that it failed."""
        if self.is_over:
            return []
        self._ended = fact
        return [self._report("finished")] if self._opened is not None else []

    def _report(self, state: str) -> Effect:
        happening = TapStateChanged(control_id=self.control_id, state=state, target=self._target)
        return Report(happening=happening, callback_url=self._status_url)


Item = Recorded | Tapped


class Background:
    """All recordings and taps of one call, by control id, in the order of their start."""

    __slots__ = ("_lent", "deadline", "items")

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self._lent: list[Item] = []
        """Those of a client, which takes care of them."""
        self.deadline: float | None = None
        """When the last words are late."""

    @property
    def is_over(self) -> bool:
        """Nothing goes on, and nothing has its last report to make."""
        return not self.items

    def problem(self, control_id: str) -> str:
        """Why no item of that id can be added; empty if one can."""
        if control_id in self.items or any(item.control_id == control_id for item in self._lent_now()):
            return f"A recording or tap with the control id {control_id} is already running."
        if len(self.items) >= MAX_ITEMS:
            return f"A call may have {MAX_ITEMS} recordings and taps at a time."
        return ""

    def add(self, item: Item) -> list[Effect]:
        """Start one more."""
        self.items[item.control_id] = item
        return item.start()

    def lend(self, item: Item) -> None:
        """A client has begun one."""
        self._lent = [*self._lent_now(), item]

    def find(self, kind: type[Recorded] | type[Tapped], control_id: str | None) -> Item | None:
        """One that goes on in the background; without an id the one that was started last."""
        items = [*self._lent_now(), *self.items.values()]
        running = [item for item in items if isinstance(item, kind) and not item.foreground]
        if control_id is None:
            return running[-1] if running else None
        return next((item for item in running if item.control_id == control_id), None)

    def handle(self, fact: Fact) -> list[Effect]:
        """Hand the fact to the item that it is about."""
        effects = [effect for item in list(self.items.values()) for effect in item.handle(fact)]
        self._sweep()
        return effects

    def stop_all(self) -> list[Effect]:
        """The call is ending."""
        if not self.items:
            return []
        return [effect for item in self.items.values() for effect in item.stop()]

    def leg_ended(self, now: float) -> list[Effect]:
        """From now on the last words are waited for."""
        self.deadline = now + LAST_WORDS if self.items else None
        return self.stop_all()

    def handle_timeout(self, now: float) -> list[Effect]:
        """Wait no longer."""
        if self.deadline is None or now < self.deadline:
            return []
        effects = [effect for item in self.items.values() for effect in item.give_up()]
        self._sweep()
        return effects

    def _lent_now(self) -> list[Item]:
        return [item for item in self._lent if not item.is_over]

    def _sweep(self) -> None:
        if any(item.is_over for item in self.items.values()):
            self.items = {key: item for key, item in self.items.items() if not item.is_over}
        if not self.items:
            self.deadline = None


class Awaiting:
    """An action that waits until an item of the background has begun, or is over."""

    __slots__ = ("_abandoned", "_begin", "_outcome")

    def __init__(self, begin: Callable[[], list[Effect]], outcome: Callable[[], Result | None]) -> None:
        """`begin` starts or stops the item; `outcome` is None as long as there is something to wait for."""
        self._begin = begin
        self._outcome = outcome
        self._abandoned = False

    @property
    def result(self) -> Result | None:
        """What the script gets."""
        return None if self._abandoned else self._outcome()

    @property
    def is_over(self) -> bool:
        """It has a result, or nobody wants one."""
        return self._abandoned or self._outcome() is not None

    def start(self, now: float) -> list[Effect]:
        """Begin."""
        return self._begin()

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """The item itself takes the facts."""
        return []

    def next_timeout(self) -> float | None:
        """None: the item ends, or the call does."""
        return None

    def handle_timeout(self, now: float) -> list[Effect]:
        """Nothing is ever due."""
        return []

    def abandon(self, ending: object, now: float) -> list[Effect]:
        """The item is ended by its call."""
        self._abandoned = True
        return []
