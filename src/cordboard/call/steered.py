"""What every operation can do, unless its kind can do more."""

from __future__ import annotations

from cordboard.call.effects import Effect


class Steered:
    """Cannot be steered, has no timer, ends when a script takes over."""

    __slots__ = ()

    survives = False
    keeps_up = True

    def next_timeout(self) -> float | None:
        """No timer."""
        return None

    def handle_timeout(self, now: float) -> list[Effect]:
        """Nothing is ever due."""
        return []

    def stop(self, now: float) -> list[Effect] | None:
        """It ends by itself."""
        return None

    def pause(self, now: float, *, skip: bool) -> list[Effect] | None:
        """It cannot be held."""
        return None

    def resume(self, now: float) -> list[Effect] | None:
        """It cannot be held."""
        return None

    def set_volume(self, volume: float) -> list[Effect] | None:
        """It has none."""
        return None

    def start_input_timers(self, now: float) -> list[Effect] | None:
        """It takes no input."""
        return None
