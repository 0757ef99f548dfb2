"""What a `connect` is asked to do: groups of destinations and the options that hold for all of them.

`to`, `serial`, `parallel`, `serial_parallel` and RELAY's `devices` all become one `ConnectPlan`
(swml.md 7.1): the groups are tried in turn, the destinations of a group are dialled at once.
"""

from __future__ import annotations

import msgspec

Header = tuple[str, str]
"""A SIP header field as (name, value)."""

CallStateName = str
"""One of `created`, `ringing`, `answered`, `ended` (what `call_state_events` may list)."""

DEFAULT_TIMEOUT = 60.0
MAX_TIMEOUT = 600.0
DEFAULT_CALL_STATE_EVENTS: frozenset[str] = frozenset({"ended"})


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
    headers: tuple[Header, ...] = ()
    call_state_url: str | None = None
    call_state_events: frozenset[CallStateName] = DEFAULT_CALL_STATE_EVENTS
    status_url: str | None = None
    """Where connect events about this destination as the peer go; the plan's if it has none of its own."""
    problem: str | None = None
    """Set when this destination alone is invalid: it fails with `error` and this sentence, undialled."""


class ConnectPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Groups of destinations in the order of trying."""

    groups: tuple[tuple[Destination, ...], ...]
    answer_on_bridge: bool = False
    status_url: str | None = None
    """Receives the `calling.call.connect` events, each of them about the connecting call."""
    problem: str | None = None
    """Set when the plan as a whole is invalid: it fails with `error` and this sentence, nothing dialled."""
