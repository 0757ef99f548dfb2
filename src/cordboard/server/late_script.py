"""A script for a call that is still to be made: it reads what the call is when it begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cordboard.call.actions import Driver, Result, Turn


class LateScript:
    """`make` gives the driver that does the work, once the call is there.  The driver of a dialled call."""

    __slots__ = ("_driver", "_make")

    def __init__(self, make: Callable[[], Driver]) -> None:
        self._make = make
        self._driver: Driver | None = None

    def start(self) -> Turn:
        """The call has been answered."""
        self._driver = self._make()
        return self._driver.start()

    def resume(self, result: Result) -> Turn:
        """As the driver that was made."""
        if self._driver is None:
            raise TypeError("the script has not been started")
        return self._driver.resume(result)

    def variables(self) -> dict[str, Any]:
        """None before it is started."""
        return {} if self._driver is None else self._driver.variables()
