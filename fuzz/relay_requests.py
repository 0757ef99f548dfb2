"""Requests of RELAY as programs send them, and what a fuzzer makes of them: any value anywhere."""

from __future__ import annotations

import copy
from typing import Any

SIP = {
    "type": "sip",
    "params": {
        "from": "sip:alice@example.com",
        "to": "sip:bob@example.com;transport=tcp",
        "from_name": "Alice",
        "timeout": 20,
        "max_duration": 60,
        "headers": [{"name": "X-A", "value": "b"}],
        "codecs": ["PCMU", "OPUS@48000h"],
        "encryption": "optional",
        "session_timeout": 600,
        "username": "u",
        "password": "p",
        "call_state_url": "https://example.com/a",
        "call_state_events": ["created", "ended"],
    },
}
PHONE = {"type": "phone", "params": {"from_number": "+15550100", "to_number": "+15550101", "timeout": 5}}
MEDIA: list[Any] = [
    {"type": "audio", "params": {"url": "https://example.com/a.wav"}},
    {"type": "tts", "params": {"text": "hello", "language": "en-US", "gender": "male", "voice": "x"}},
    {"type": "silence", "params": {"duration": 1}},
    {"type": "ringtone", "params": {"name": "us", "duration": 2.5}},
]
_CALL = {"node_id": "node", "call_id": "c0"}
_ONE = {**_CALL, "control_id": "x0"}
_DIGITS = {"max": 4, "terminators": "#*", "digit_timeout": 2.0}
_SPEECH = {"end_silence_timeout": 1, "speech_timeout": 9, "language": "en-US", "hints": ["yes"], "model": "m"}
_COLLECT = {"initial_timeout": 4, "digits": _DIGITS, "speech": _SPEECH}
_MACHINE = {"initial_timeout": 4.5, "machine_words_threshold": 6, "detect_interruptions": True}
_RECORD = {"audio": {"beep": True, "format": "mp3", "stereo": True, "direction": "both", "terminators": "#"}}
_RTP = {"type": "rtp", "params": {"addr": "192.0.2.1", "port": 4000, "codec": "PCMU", "rate": 8000}}
_WS = {"type": "ws", "params": {"uri": "wss://example.com/tap", "codec": "L16", "rate": 16000}}
_TAP = {"type": "audio", "params": {"direction": "both"}}

SAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("calling.dial", {"tag": "t", "devices": [[SIP, PHONE], [PHONE]], "max_price_per_minute": 0.0125}),
    ("calling.dial", {"tag": "t", "devices": [[SIP]], "max_duration": 60, "region": "us"}),
    ("calling.begin", {"tag": "t", "device": PHONE}),
    ("calling.answer", {**_CALL, "max_duration": 90}),
    ("calling.end", {**_CALL, "reason": "busy"}),
    ("calling.pass", _CALL),
    ("calling.transfer", {**_CALL, "dest": "sections:\n  main:\n    - hangup: {}\n"}),
    ("calling.transfer", {**_CALL, "dest": {"sections": {"main": ["hangup"]}}}),
    ("calling.transfer", {**_CALL, "dest": "office"}),
    ("calling.transfer", {**_CALL, "dest": "https://example.com/a.yaml"}),
    ("calling.connect", {**_CALL, "devices": [[SIP], [PHONE, SIP]], "ringback": MEDIA, "tag": "t"}),
    ("calling.disconnect", _CALL),
    ("calling.play", {**_ONE, "play": MEDIA, "volume": -4.5, "loop": 2, "status_url": "http://a.example/"}),
    ("calling.play.pause", {**_ONE, "behavior": "skip"}),
    ("calling.play.resume", _ONE),
    ("calling.play.volume", {**_ONE, "volume": 4}),
    ("calling.play.stop", _ONE),
    ("calling.play_and_collect", {**_ONE, "play": MEDIA[:1], "collect": _COLLECT, "volume": 1}),
    ("calling.play_and_collect.stop", _ONE),
    ("calling.play_and_collect.volume", {**_ONE, "volume": 4}),
    ("calling.collect", {**_ONE, **_COLLECT, "partial_results": True, "continuous": True}),
    ("calling.collect.start_input_timers", _ONE),
    ("calling.collect.stop", _ONE),
    ("calling.record", {**_ONE, "record": _RECORD}),
    ("calling.record.pause", {**_ONE, "behavior": "silence"}),
    ("calling.record.resume", _ONE),
    ("calling.record.stop", _ONE),
    ("calling.detect", {**_ONE, "detect": {"type": "machine", "params": _MACHINE}, "timeout": 9}),
    ("calling.detect", {**_ONE, "detect": {"type": "fax", "params": {"tone": "CNG"}}}),
    ("calling.detect", {**_ONE, "detect": {"type": "digit", "params": {"digits": "12ab"}}}),
    ("calling.detect.stop", _ONE),
    ("calling.tap", {**_ONE, "tap": _TAP, "device": _RTP}),
    ("calling.tap", {**_ONE, "tap": _TAP, "device": _WS}),
    ("calling.tap.stop", _ONE),
    ("calling.send_digits", {**_ONE, "digits": "12W3w#"}),
    ("calling.refer", {**_CALL, "device": {"type": "sip", "params": {"to": "sip:carol@example.com"}}}),
    ("calling.hold", _CALL),
    ("calling.unhold", _CALL),
    ("calling.pay", _ONE),
    ("calling.plai", _ONE),
    ("signalwire.ping", {"timestamp": 1.5}),
    ("signalwire.receive", {"contexts": ["office", "sales"]}),
    ("signalwire.unreceive", {"contexts": ["sales"]}),
    ("signalwire.nonsense", {}),
]
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 1e308, -0.0, 1 << 63, 10**400, 0.00001, "", " ", "x", "0", "c1", "\0", "é",
    "a" * 300, "a" * 5000, "sip:", "sip:a@b;c=d?X-E=f", "tel:+1", "+1", "http://", "http://[::1", "file:/x",
    "$" + "{x}", "\r\nX: y", "12#w", "sip:bob@192.0.2.1:99999", "OPUS@1h", [], {}, [[]], [{}], [None] * 60,
    {"type": "phone"}, {"type": "sip", "params": None}, {"params": []}, [["x"]], SIP, [[SIP] * 11],
]  # fmt: skip


class Choices:
    """Bytes as decisions; when they are used up, every further one is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        return self._at >= len(self._data)

    def below(self, limit: int) -> int:
        """From 0 on."""
        if self._at >= len(self._data):
            return 0
        self._at += 1
        return self._data[self._at - 1] % limit

    def pick(self, items: Any) -> Any:
        """One of a list."""
        return items[self.below(len(items))]

    def some(self) -> bytes:
        """A piece of the data as it is."""
        length = self.below(256)
        self._at += length
        return self._data[self._at - length : self._at]


def request(choices: Choices) -> tuple[str, Any]:
    """A sample, changed in up to three places."""
    method, params = copy.deepcopy(choices.pick(SAMPLES))
    for _ in range(choices.below(4)):
        change(choices, params)
    return method, params


def change(choices: Choices, value: Any) -> None:
    """Put something odd somewhere within an object or a list, leave it out, or add to it."""
    for _ in range(6):
        places = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not places:
            return
        place = choices.pick(places)
        if isinstance(value[place], dict | list) and value[place] and choices.below(4):
            value = value[place]
            continue
        _put(choices, value, place)
        return


def _put(choices: Choices, value: Any, place: Any) -> None:
    kind = choices.below(4)
    if kind == 0:
        value.pop(place)
    elif kind == 1 and isinstance(value, list):
        value.extend(value[:1] * 20)
    elif kind == 2:
        value[place] = choices.some().decode("utf-8", "replace")
    else:
        value[place] = copy.deepcopy(choices.pick(ODD))
