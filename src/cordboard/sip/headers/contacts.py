"""The Contacts of a redirection (RFC 3261 section 20.10)."""

from __future__ import annotations

from collections.abc import Iterable

from cordboard.sip.headers.name_addr import NameAddr


def by_preference(contacts: Iterable[NameAddr]) -> list[NameAddr]:
    """The highest `q` first, equals in their order; 1 where none is said, 0 where it is no number."""
    return sorted(contacts, key=_quality, reverse=True)


def _quality(contact: NameAddr) -> float:
    value = contact.params.get("q")
    if value is None:
        return 1.0
    whole, _, thousandths = value.partition(".")
    if whole not in ("0", "1", "") or not value.isascii() or not (whole + thousandths).isdigit():
        return 0.0
    return min(float(f"{whole or 0}.{thousandths[:3] or 0}"), 1.0)
