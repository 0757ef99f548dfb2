"""Whom the soak dials, and the documents that dial them: all drawn from one seeded generator."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from typing import Any

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phones import behaviour_for

_TALKER = re.compile(r"(talk|early)-([\d.]+)-([\d.]+)(-aloud)?(-keys)?(-srtp)?")
_REFUSALS = (302, 400, 404, 408, 415, 480, 484, 486, 488, 500, 502, 503, 504, 600, 604, 606)
_WEIGHTS = {
    "talk": 40,
    "early": 8,
    "refuse": 14,
    "busy": 8,
    "decline": 6,
    "ring": 10,
    "silent": 8,
    "nosdp": 2,
    "nobody": 2,
    "unknown": 2,
    "number": 8,
}
_NUMBERS = [f"+1555010{last}" for last in range(8)]
"""Of `cordboard.testing.phones`, through the trunk."""
_PRESS_1: list[dict[str, Any]] = [
    {"prompt": {"play": "silence:0.1", "max_digits": 1, "initial_timeout": 1.0}},
    {"cond": [{"when": "prompt_value != '1'", "then": [{"hangup": {}}]}]},
]
_CONFIRMS: list[list[dict[str, Any]]] = [
    [{"play": "silence:0.1"}],
    _PRESS_1,
    _PRESS_1,
    [{"hangup": {}}],
    [{"play": "silence:30"}],
]
_CODECS = ("PCMA", "PCMA,PCMU", "G722,PCMA", "OPUS,PCMU", "OPUS")
STATES = ["created", "ringing", "answered", "ended"]


def behaviour_of(user: str) -> Behaviour:
    """The phones of `cordboard.testing.phones`, and some that hang up early or are broken."""
    match = _TALKER.fullmatch(user)
    if match:
        kind, answer, hang_up, aloud, keys, secure = match.groups()
        return Behaviour(
            answer_after=float(answer),
            hang_up_after=float(hang_up),
            early_media=kind == "early",
            muted=aloud is None,
            digits="1" if keys else "",
            encryption="optional" if secure else "forbidden",
        )
    if user == "nosdp":
        return Behaviour(answer_after=0.1, answer_without_sdp=True)
    return behaviour_for(user)


class People:
    """`bank` is `address:port` of the phones; `timeouts`: seconds that they may ring."""

    def __init__(self, seed: int, *, bank: str, timeouts: Sequence[float] = (1, 1, 2, 3)) -> None:
        self._random = random.Random(seed)
        self._bank = bank
        self._timeouts = timeouts

    # ------------------------------------------------------------ who is dialled

    def somebody(self) -> str:
        """A SIP URI."""
        kind = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        if kind == "nobody":
            return "sip:nobody@127.0.0.1:9"
        if kind == "unknown":
            return "sip:unknown@no-such-host.invalid"
        if kind == "number":
            return self._random.choice(_NUMBERS)
        transport = ";transport=tcp" if self._random.random() < 0.2 else ""
        return f"sip:{self._user(kind)}@{self._bank}{transport}"

    def _user(self, kind: str) -> str:
        if kind == "refuse":
            return f"refuse-{self._random.choice(_REFUSALS)}"
        if kind in ("talk", "early"):
            traits = "".join(one for one in ("-aloud", "-keys", "-srtp") if self._random.random() < 0.2)
            answer, hang_up = self._random.uniform(0, 1.2), self._random.expovariate(1.0)
            return f"{kind}-{answer:.2f}-{min(hang_up, 4.0):.2f}{traits}"
        return kind

    def _group(self, most: int) -> list[dict[str, Any]]:
        return [{"to": self.somebody()} for _ in range(self._random.randint(1, most))]

    # ------------------------------------------------------------ what dials them

    def document(self, receivers: Sequence[str]) -> str:
        """A document with one connect, and something before and after it; callbacks go to a receiver."""
        chance = self._random.random
        steps: list[dict[str, Any]] = []
        if chance() < 0.2:
            steps += [{"answer": {}}, {"play": {"url": "silence:0.2"}}]
        receiver = self._random.choice(receivers)
        if chance() < 0.25:
            steps.append({"record_call": self._recording(receiver)})
        steps.append({"connect": self._connect(receiver)})
        if chance() < 0.2:
            steps += [{"play": {"url": "silence:0.2"}}]
        return json.dumps({"version": "1.0.0", "sections": {"main": steps}})

    def _recording(self, receiver: str) -> dict[str, Any]:
        return {
            "stereo": self._random.random() < 0.5,
            "format": self._random.choice(("wav", "wav", "mp3")),
            "status_url": f"{receiver}/record",
        }

    def _connect(self, receiver: str) -> dict[str, Any]:
        connect: dict[str, Any] = {
            "timeout": self._random.choice(self._timeouts),
            "answer_on_bridge": self._random.random() < 0.7,
            "status_url": f"{receiver}/connect",
            "call_state_url": f"{receiver}/state",
            "call_state_events": STATES,
            **self._strategy(),
            **self._extras(),
        }
        if self._random.random() < 0.2:
            connect["result"] = {
                "case": {"connected": [{"hangup": {}}]},
                "default": [{"play": {"url": "silence:0.2"}}, {"hangup": {"reason": "busy"}}],
            }
        return connect

    def _extras(self) -> dict[str, Any]:
        """Confirm scripts, session timers, codecs that have to be translated, in a share of the connects."""
        chance, extras = self._random.random, dict[str, Any]()
        if chance() < 0.2:
            extras |= {"confirm": self._random.choice(_CONFIRMS), "confirm_timeout": 1}
        if chance() < 0.3:
            extras["session_timeout"] = 90
        if chance() < 0.3:
            extras["codecs"] = self._random.choice(_CODECS)
        return extras

    def _strategy(self) -> dict[str, Any]:
        kind = self._random.choice(("to", "serial", "parallel", "parallel", "serial_parallel"))
        if kind == "to":
            return {"to": self.somebody()}
        if kind == "serial_parallel":
            return {kind: [self._group(3) for _ in range(self._random.randint(1, 3))]}
        return {kind: self._group(4)}
