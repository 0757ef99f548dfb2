"""Which headers a message has, in which order.  Peers use a few orders only, so each is worked out once."""

from __future__ import annotations

from collections.abc import Mapping

from cordboard.sip.headers.typed import MANDATORY, READERS

MAX_LAYOUTS = 512
MAX_REMEMBERED_LINES = 32


class Layout:
    """Of header lines with these names."""

    __slots__ = ("call_id", "complete", "cseq", "from_", "length", "places", "repeated", "to", "via")

    def __init__(self, names: tuple[str, ...]) -> None:
        places: dict[str, int] = {}
        for place, name in enumerate(names):
            places.setdefault(name, place)
        self.places: Mapping[str, int] = places
        """Of the first line of each name."""
        self.complete = places.keys() >= MANDATORY
        """No message without these headers is one."""
        # The places of what it cannot be complete without.
        self.call_id = places.get("Call-ID", 0)
        self.cseq = places.get("CSeq", 0)
        self.from_ = places.get("From", 0)
        self.to = places.get("To", 0)
        self.via = places.get("Via", 0)
        self.length = places.get("Content-Length")
        """The place of Content-Length."""
        self.repeated = tuple(name for name in places if name in READERS and names.count(name) > 1)
        """The typed names that more than one line has."""


class RememberedLayouts(dict[tuple[str, ...], Layout]):
    """Layouts by their names; one that is missing is made."""

    __slots__ = ()

    def __missing__(self, names: tuple[str, ...]) -> Layout:
        layout = Layout(names)
        if len(names) <= MAX_REMEMBERED_LINES:
            if len(self) >= MAX_LAYOUTS:
                self.clear()
            self[names] = layout
        return layout


LAYOUTS = RememberedLayouts()
