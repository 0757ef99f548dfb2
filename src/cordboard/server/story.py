"""The story of a session as data: what the store knows of its calls, and the sentence it comes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from cordboard.call.reasons import Ending, EndReason, relay_word
from cordboard.server.sip_log import SipNote, decode, shows_keys, trunks_of
from cordboard.server.store import CallEnd, CallRecord, DeliveryRecord, EventRecord
from cordboard.server.store_file import StoreFile
from cordboard.webhooks.target import shown


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the session."""

    record: CallRecord
    events: list[EventRecord]
    messages: list[SipNote]

    @property
    def name(self) -> str:
        """The far end."""
        start = self.record.start
        return start.from_ if start.direction == "inbound" else start.to


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """A session: its calls, the oldest first, and what became of their callbacks."""

    legs: list[Leg]
    deliveries: list[DeliveryRecord]

    @property
    def begun_at(self) -> float:
        """The earliest moment that is known, in seconds since the epoch."""
        first = [leg.messages[0].at for leg in self.legs if leg.messages]
        return min([self.legs[0].record.start.started_at, *first])


def read_story(
    store: StoreFile, call_id: str, *, most_legs: int = 1_000, most_events: int = 10_000
) -> Story | None:
    """Of the session that this call belongs to.  `most_events`: of each leg.  Raises `StoreError`."""
    legs = [_leg(store, record, most_events) for record in store.session(call_id)[:most_legs]]
    if not legs:
        return None
    return Story(legs=legs, deliveries=store.session_deliveries(legs[0].record.start.session_id))


def _leg(store: StoreFile, record: CallRecord, most_events: int) -> Leg:
    call_id = record.start.call_id
    events = store.events(call_id, limit=most_events)
    return Leg(record=record, events=events, messages=decode(store.ladder(call_id)))


def as_data(story: Story) -> dict[str, Any]:
    """For programs; times are seconds since the epoch."""
    return {
        "verdict": verdict(story),
        "legs": [_leg_data(leg) for leg in story.legs],
        "callbacks": [
            {"number": one.number, "url": shown(one.url), "state": one.state, "attempts": one.attempts}
            for one in story.deliveries
        ],
    }


def _leg_data(leg: Leg) -> dict[str, Any]:
    record = leg.record
    end = record.end
    return {
        "call_id": record.start.call_id,
        "direction": record.start.direction,
        "from": record.start.from_,
        "to": record.start.to,
        "started_at": record.start.started_at,
        "answered_at": record.answered_at,
        "trunks": trunks_of(leg.messages),
        "keys_in_the_clear": shows_keys(leg.messages),
        "end": None if end is None else {**msgspec.structs.asdict(end), "relay_reason": words_on_relay(end)},
        "statistics": decoded(record.statistics) or None,
        "events": [{"event_type": kind, "params": params} for kind, params in _bodies(leg.events)],
        "messages": [msgspec.structs.asdict(note) for note in leg.messages],
    }


def _bodies(events: Iterable[EventRecord]) -> Iterator[tuple[str, dict[str, Any]]]:
    for event in events:
        yield event.event_type, params_of(event)


def params_of(event: EventRecord) -> dict[str, Any]:
    """The inner `params` of an event."""
    params = decoded(event.body).get("params")
    return params if isinstance(params, dict) else {}


def verdict(story: Story) -> str:
    """The one sentence: the failure that decided, else how it ended."""
    failed = [leg.record.end for leg in story.legs if leg.record.end and _is_failure(leg.record.end)]
    reason = _failed_reason(story)
    # Of several at once it is not always the last that gave the reason (swml.md 7.14).
    deciding = [end for end in failed if end.reason == reason] or failed
    if reason is not None and deciding:
        return deciding[-1].sentence
    own = story.legs[0].record.end
    if own is None:
        return "The call goes on, or its server died and has not been started since."
    return own.sentence or f"The call ended: {own.reason}."


def _is_failure(end: CallEnd) -> bool:
    return end.reason not in ("hangup",) and end.cause != "lost_race"


def _failed_reason(story: Story) -> str | None:
    """Of the last connect, if that failed."""
    connects = [params for kind, params in _bodies(story.legs[0].events) if kind == "calling.call.connect"]
    if not connects or connects[-1].get("connect_state") != "failed":
        return None
    return str(connects[-1].get("failed_reason") or "")


def ending_of(end: CallEnd) -> Ending:
    """A stored end, in the words of the calls."""
    return Ending(
        reason=_reason(end.reason),
        cause=end.cause,
        sip_code=end.sip_code,
        sip_reason=end.sip_reason,
        sentence=end.sentence,
    )


def _reason(word: str) -> EndReason:
    """A store of a later version may know more words."""
    return EndReason(word) if word in {reason.value for reason in EndReason} else EndReason.ERROR


def words_on_relay(end: CallEnd) -> str:
    """The end reason as RELAY spells it."""
    return relay_word(ending_of(end))


def decoded(body: bytes | None) -> dict[str, Any]:
    """Stored JSON; nothing if there is none or it cannot be read."""
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
