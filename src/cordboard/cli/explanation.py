"""The story of a call, told from what the store knows of its session."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cordboard.call.reasons import caller_code
from cordboard.cli.printing import printable
from cordboard.server.sip_log import SipNote, shows_keys, trunks_of
from cordboard.server.store import CallRecord, EventRecord
from cordboard.server.story import Story, decoded, ending_of, params_of, verdict, words_on_relay
from cordboard.webhooks.target import shown

_MAX_NAME = 22
_MAX_LINE = 400
_LONG_ENOUGH = 1.0
"""Seconds of talk in which something must have been heard."""
_KEYS = "the keys of its media were sent without TLS: who can read its SIP messages can listen"


# ---------------------------------------------------------------- lines


def as_lines(story: Story) -> list[str]:
    """For a terminal: far ends have a say in the texts, but only in the texts."""
    lines = [*_head(story), "", *_legs(story), "", *_events(story), "", *_ladder(story), *_callbacks(story)]
    return [printable(line, _MAX_LINE) for line in lines]


def _head(story: Story) -> Iterator[str]:
    first = story.legs[0].record
    made = datetime.fromtimestamp(first.start.started_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield f"call      {first.start.call_id}  {made}"
    yield f"from, to  {first.start.from_} → {first.start.to}  ({first.start.direction}, {first.start.type})"
    yield f"session   {first.start.session_id}, {len(story.legs)} legs"
    yield f"what      {verdict(story)}"


def _legs(story: Story) -> Iterator[str]:
    for number, leg in enumerate(story.legs):
        record = leg.record
        way = "caller" if record.start.direction == "inbound" else "called"
        yield f"leg {number}     {way} {leg.name}  {record.start.call_id}"
        yield f"          {_times(record)}"
        if trunks := trunks_of(leg.messages):
            yield f"          trunk: {', then '.join(trunks)}"
        if shows_keys(leg.messages):
            yield f"          {_KEYS}"
        if record.end is not None:
            yield from _end_lines(record)
        if record.statistics and record.answered_at is not None:
            yield f"          audio: {_audio(record)}"


def _times(record: CallRecord) -> str:
    start, answered, end = record.start.started_at, record.answered_at, record.end
    parts = [f"answered after {answered - start:.2f} s" if answered else "never answered"]
    if end is not None:
        parts.append(f"over after {end.ended_at - start:.2f} s")
    return ", ".join(parts)


def _end_lines(record: CallRecord) -> Iterator[str]:
    end = record.end
    assert end is not None
    code = f", SIP {end.sip_code} {end.sip_reason}".rstrip() if end.sip_code else ""
    yield f"          ended: {end.reason} ({end.cause}){code}; on RELAY `{words_on_relay(end)}`"
    if end.sentence:
        yield f"          {end.sentence}"
    if record.start.direction == "inbound" and record.answered_at is None:
        yield f"          the caller got {caller_code(ending_of(end))}"


def _audio(record: CallRecord) -> str:
    figures = decoded(record.statistics)
    parts = [f"{figures.get('packets_received', 0)} packets in, {figures.get('packets_sent', 0)} out"]
    parts.append(f"{figures.get('packets_lost', 0)} lost, jitter {figures.get('jitter_ms', 0.0):.1f} ms")
    if figures.get("mos") is not None:
        parts.append(f"MOS {figures['mos']:.1f}")
    if figures.get("latched_to"):
        parts.append(f"media came from {figures['latched_to']}, not from where the SDP said")
    if not figures.get("packets_received") and _lasted(record) > _LONG_ENOUGH:
        parts.append("NOTHING was heard from this far end: check NAT, firewall and the address in its SDP")
    return ", ".join(parts)


def _lasted(record: CallRecord) -> float:
    """Seconds that it was answered."""
    end = record.end.ended_at if record.end is not None else record.answered_at
    return (end or 0.0) - (record.answered_at or 0.0)


def _events(story: Story) -> Iterator[str]:
    yield "events"
    told = [(event.created_at, leg.name, _event_text(event)) for leg in story.legs for event in leg.events]
    for at, name, text in sorted(told, key=lambda entry: entry[0]):
        yield f"{at - story.begun_at:9.3f}  {printable(name, _MAX_NAME):>{_MAX_NAME}}  {text}"


def _event_text(event: EventRecord) -> str:
    params = params_of(event)
    kind = event.event_type.removeprefix("calling.")
    if event.event_type == "calling.script.warning":
        line = f", line {params['line']}" if "line" in params else ""
        return f"warning: {params.get('message', '')} ({params.get('code', '')}{line})"
    words = [str(params[key]) for key in _STATE_KEYS if params.get(key)]
    said = f": {params['message']}" if params.get("message") else ""
    return " ".join([kind, *words]) + said


_STATE_KEYS = ("call_state", "connect_state", "state", "end_reason", "failed_reason")


def _ladder(story: Story) -> Iterator[str]:
    yield "ladder"
    if not any(leg.messages for leg in story.legs):
        yield f"          {_no_messages(story)}"
    rungs = [(note.at, n, leg.name, note) for n, leg in enumerate(story.legs) for note in leg.messages]
    for at, _, name, note in sorted(rungs, key=lambda rung: rung[:2]):
        yield f"{at - story.begun_at:9.3f}  {_rung(name, note)}"


def _no_messages(story: Story) -> str:
    if any(leg.record.end is None for leg in story.legs):
        return "none yet: the messages of a call are stored a second after its end"
    reasons = "the call ended a moment ago, its server died, or it was of an older version"
    return f"no messages were kept ({reasons})"


def _rung(name: str, note: SipNote) -> str:
    if not note.far_end:
        return f"{printable(name, _MAX_NAME):>{_MAX_NAME}}               {note.line}"
    arrow = "◀──" if note.sent else "──▶"
    text = f"{note.line}  ({note.note})" if note.note else note.line
    return f"{printable(name, _MAX_NAME):>{_MAX_NAME}} {arrow} cordboard  {text}"


def _callbacks(story: Story) -> Iterator[str]:
    if not story.deliveries:
        return
    yield ""
    yield "callbacks"
    for delivery in story.deliveries:
        last = f"status {delivery.last_status}" if delivery.last_status else delivery.last_error
        tries = f"{delivery.attempts} tries" if delivery.attempts != 1 else "1 try"
        yield f"{delivery.number:>9}  {delivery.state}, {tries}  {shown(delivery.url)}  {last}".rstrip()
