"""The action `Answer`, and what answers first because it needs the caller's ear (swml.md 4.1)."""

from __future__ import annotations

from cordboard.call.actions import Done, Result
from cordboard.call.codec_wish import CodecWish
from cordboard.call.effects import Effect
from cordboard.call.facts import Fact, LegAnswered
from cordboard.call.leg import Leg
from cordboard.call.reasons import Ending
from cordboard.call.running import Running


class Answering:
    """Answers the call's own leg; done at once where it is answered."""

    __slots__ = ("_codecs", "_leg", "is_over", "result")

    def __init__(self, leg: Leg, codecs: tuple[CodecWish, ...] = ()) -> None:
        self._leg = leg
        self._codecs = codecs
        self.result: Result | None = None
        self.is_over = False

    def start(self, now: float) -> list[Effect]:
        """Ask for the 200."""
        if self._leg.is_answered:
            self._finish()
        return self._leg.answer(self._codecs)

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Wait for the 200 to be out."""
        if isinstance(fact, LegAnswered) and not self.is_over:
            self._finish()
        return []

    def next_timeout(self) -> float | None:
        """No timer: the leg answers or ends."""
        return None

    def handle_timeout(self, now: float) -> list[Effect]:
        """Nothing is ever due."""
        return []

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """Nothing to undo."""
        self.is_over = True
        return []

    def _finish(self) -> None:
        self.result = Done()
        self.is_over = True


class AnsweredFirst:
    """Another action, which begins when the leg is answered; an unanswered caller is answered for it."""

    __slots__ = ("_abandoned", "_inner", "_leg", "_started")

    def __init__(self, leg: Leg, inner: Running) -> None:
        self._leg = leg
        self._inner = inner
        self._started = False
        self._abandoned = False

    @property
    def result(self) -> Result | None:
        """That of the other action."""
        return self._inner.result if self._started else None

    @property
    def is_over(self) -> bool:
        """The other action is."""
        return self._abandoned or (self._started and self._inner.is_over)

    def start(self, now: float) -> list[Effect]:
        """Answer, or begin."""
        return self._begin(now) if self._leg.is_answered else self._leg.answer()

    def handle(self, fact: Fact, now: float) -> list[Effect]:
        """Begin when the 200 is out."""
        if self._started:
            return self._inner.handle(fact, now)
        return self._begin(now) if isinstance(fact, LegAnswered) and not self._abandoned else []

    def next_timeout(self) -> float | None:
        """That of the other action."""
        return self._inner.next_timeout() if self._started else None

    def handle_timeout(self, now: float) -> list[Effect]:
        """That of the other action."""
        return self._inner.handle_timeout(now) if self._started else []

    def abandon(self, ending: Ending, now: float) -> list[Effect]:
        """Never begin, or stop."""
        self._abandoned = True
        return self._inner.abandon(ending, now) if self._started else []

    def _begin(self, now: float) -> list[Effect]:
        self._started = True
        return self._inner.start(now)
