"""What a `connect` is asked to do: groups of destinations and the options that hold for all of them.

`to`, `serial`, `parallel`, `serial_parallel` and RELAY's `devices` all become one `ConnectPlan`
(swml.md 7.1): the groups are tried in turn, the destinations of a group are dialled at once.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cordboard.call.codec_wish import CodecWish
from cordboard.call.secrecy import printed

Header = tuple[str, str]
"""A SIP header field as (name, value)."""

CallStateName = str
"""One of `created`, `ringing`, `answered`, `ended` (what `call_state_events` may list)."""

Encryption = str
"""`mandatory`, `optional` or `forbidden` (SRTP with SDES keys)."""

DEFAULT_TIMEOUT = 60.0
MAX_TIMEOUT = 600.0
DEFAULT_MAX_DURATION = 14_400.0
DEFAULT_CALL_STATE_EVENTS: frozenset[str] = frozenset({"ended"})


class PlayItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to play.  Exactly one kind."""

    kind: str
    """`audio` (http(s) or file URL), `say`, `silence`, `ring`, `hold` (the server's music on hold)."""
    url: str = ""
    text: str = ""
    """Of `say`: what is spoken."""
    voice: str = ""
    """Of `say`; empty = the server's voice for the language."""
    language: str = "en-US"
    gender: str = ""
    duration: float = 0.0
    """Seconds: of `silence`; of `ring` (0 = one cadence cycle)."""
    country: str = "us"
    """Ring cadence: two-letter country code or `us-old`."""


class Ringback(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller hears while far ends ring; looped until somebody has won or all have failed."""

    items: tuple[PlayItem, ...]
    volume: float = 0.0
    """Gain in dB."""


class Confirm(msgspec.Struct, frozen=True, kw_only=True):
    """A script that the answered far end must stay through before it is bridged (swml.md 7.10)."""

    url: str | None = None
    """Where its document is fetched; None = `document`."""
    document: Any = None
    """The inline steps as their language has compiled them: the heart only hands them on."""
    timeout: float = DEFAULT_TIMEOUT
    """Seconds from the answer until the script must have ended."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """One far end to dial, with every default already resolved (swml.md 7.4)."""

    kind: str
    """`sip` or `phone` (later also `address`, `queue`, `stream`)."""
    to: str
    """A SIP URI (`sip:user@host;params`) or an E.164 number (`+15551234567`)."""
    from_: str | None = None
    """Number, token or SIP URI; `None` means the caller's own number."""
    timeout: float = DEFAULT_TIMEOUT
    """Ring time in seconds, 1 to 600, counted from the INVITE."""
    from_name: str | None = None
    """Display name; None = the caller's own."""
    headers: tuple[Header, ...] = ()
    codecs: tuple[CodecWish, ...] = ()
    """In order of preference; empty = the caller's codec first, then the server's."""
    encryption: Encryption | None = None
    """None = `optional`, or what the trunk says."""
    session_timeout: int | None = None
    """Session-Expires in seconds, at least 90; None = the server's."""
    username: str | None = None
    password: str | None = None
    confirm: Confirm | None = None
    max_price_per_minute: float | None = None
    """US dollars; a phone destination that costs more is not dialled."""
    tag: str | None = None
    call_state_url: str | None = None
    call_state_events: frozenset[CallStateName] = DEFAULT_CALL_STATE_EVENTS
    status_url: str | None = None
    """Where connect events about this destination as the peer go; the plan's if it has none of its own."""
    max_duration: float | None = None
    """Seconds from its answer after which it is hung up; None: the server's limit."""
    device: dict[str, Any] | None = None
    """As a client wrote it (`{type, params}`), for the events about it; never with a password."""
    problem: str | None = None
    """Set when this destination alone is invalid: it fails with `error` and this sentence, undialled."""

    def __repr__(self) -> str:
        return printed(self, "password")


class ConnectPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Groups of destinations in the order of trying."""

    groups: tuple[tuple[Destination, ...], ...]
    answer_on_bridge: bool = False
    ringback: Ringback | None = None
    max_duration: float = DEFAULT_MAX_DURATION
    """Seconds from the bridge after which the peer is hung up; the connecting call goes on."""
    status_url: str | None = None
    """Receives the `calling.call.connect` events, each of them about the connecting call."""
    problem: str | None = None
    """Set when the plan as a whole is invalid: it fails with `error` and this sentence, nothing dialled."""
