"""Each method that the Call of an SDK has works, or says by name what it cannot have; none hangs."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from cordboard.relay.methods.unbuilt import UNBUILT
from cordboard.testing.behaviour import Behaviour

from .cases import ANSWERS, refuses
from .sdk.lab import PROJECT, TOKEN, RelayCase, RelayLab, relay_laboratory
from .sdk.programs import HERE, NODE_3_9, NODE_3_13, NODE_4, PYTHON, Sdk, running
from .sounds import tone

KEYS = Behaviour(tone_hz=440.0, digits="12#", digits_after=0.5)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_peer]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayLab]:
    async with relay_laboratory(tmp_path_factory.mktemp("relay")) as made:
        made.lab.site.document("/tone.wav", tone(0.2, 8000))
        yield made


async def tried(case: RelayCase, sdk: Sdk) -> tuple[dict[str, Any], dict[str, Any]]:
    """What came of each step, and the last word."""
    sdk.check()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taps:
        taps.bind(("127.0.0.1", 0))
        site = case.lab.lab.site.url
        settings = {
            "host": case.lab.host(sdk),
            "project": PROJECT,
            "token": TOKEN,
            "alice": case.phone("alice", ANSWERS),
            "busy": case.phone("busy", refuses(486)),
            "keys": case.phone("keys", KEYS),
            "number": case.number("number", ANSWERS),
            "url": f"{site}/tone.wav",
            "nothing": f"{site}/nothing.wav",
            "port": taps.getsockname()[1],
        }
        every = str(HERE / "node" / "every.cjs" if sdk.is_node else HERE / "python" / "relay_every.py")
        command = (sdk.command[0], every)
        started = running(sdk, settings, authority=case.lab.authority, command=command)
        program = await case.programs.enter_async_context(started)
        done = await program.says("done", within=120.0)
    return {line["name"]: line for line in program.said if line["what"] == "tried"}, done


DIGIT = {"type": "digit", "digits": "12", "terminator": "#"}
NO_INPUT = {"type": "no_input"}
FINISHED = {"state": "finished"}
BRIDGED = {"type": "sip"}

WORKS: dict[str, dict[str, Any]] = {
    "properties": {"state": "answered", "type": "sip", "direction": "outbound", "active": True},
    "play, pause, resume, volume": FINISHED,
    "play to its end": FINISHED,
    "play of nothing": FINISHED,
    "playAudio": FINISHED,
    "playAudio of nothing": {"state": "error"},
    "playSilence": FINISHED,
    "playRingtone": FINISHED,
    "playTTS": FINISHED,
    "record": FINISHED,
    "recordAudio": FINISHED,
    "prompt": NO_INPUT,
    "promptAudio": NO_INPUT,
    "promptRingtone": NO_INPUT,
    "promptTTS": DIGIT,
    "collect": DIGIT,
    "collect with timers of its own": NO_INPUT,
    "collect without end": NO_INPUT,
    "detect": {"type": "digit"},
    "detectDigit": {"type": "digit"},
    "detectFax": {"type": "fax"},
    "amd": {"type": "machine"},
    "detectAnsweringMachine": {"type": "machine"},
    "tap": FINISHED,
    "tapAudio": FINISHED,
    "sendDigits": {},
    "connectSip": BRIDGED,
    "connectPhone": {"type": "phone"},
    "connect": BRIDGED,
    "connect with a ringback": BRIDGED,
    "waitForDisconnected": {"type": "function"},
    "hangup and waitFor": {"reached": True, "state": "ended"},
}
"""Step → what the SDK's object shows at the end."""

SPEECH = "This server has no speech recognition built in: collect digits."
WEBRTC = "WebRTC media are not built into this server: leave it out."
REFUSED: dict[str, tuple[str | None, str]] = {
    "playAudio of no URL": ("400", "must be an http(s) URL"),
    "playRingtone of nowhere": ("400", "must be one of at, au"),
    "promptTTS for speech": ("501", SPEECH),
    "promptTTS for nothing": ("400", "`collect.digits` or `collect.speech` is required"),
    "collect for speech": ("501", SPEECH),
    "tap to nobody": ("400", "cannot be reached: Connection refused."),
    "sendDigits of none": ("400", "must be 1 to 256 of 0-9 * # A-D"),
    "connectSip with WebRTC": ("501", WEBRTC),
    "connectSip with a header": ("400", "only X- headers of one line can."),
    "connectSip of five decimals": ("400", "with at most 4 decimals"),
    "disconnect of nobody": (None, "Can't call disconnect() on a call not connected yet."),
    "answer of one that has": ("409", "The call is answered already."),
    "pass of one that was not offered": ("409", "The call is not offered to this client now."),
    "play to one that has gone": ("404", "Call not found"),
    "dialSip with WebRTC": ("501", WEBRTC),
    "dialSip of no URI": ("400", "must be a SIP URI (sip:user@host)"),
}
"""Step → code (none: by the SDK itself), and what the sentence says."""
BUSY = "connectSip to a busy one"

V3_EVENTS = {
    *("call.state", "connect.connecting", "connect.connected", "connect.disconnected", "connect.failed"),
    *("playback.started", "playback.updated", "playback.ended", "playback.failed"),
    *("recording.started", "recording.ended"),
    *("prompt.started", "prompt.ended", "prompt.failed"),
    *("collect.started", "collect.startOfInput", "collect.updated", "collect.ended", "collect.failed"),
    *("detect.updated", "detect.ended", "tap.started", "tap.ended"),
}
V4_EVENTS = {
    *("StateChanged", "PlaybackStarted", "PlaybackUpdated", "PlaybackEnded", "PlaybackFailed"),
    *("RecordingStarted", "RecordingUpdated", "RecordingEnded"),
    *("PromptStarted", "PromptEnded", "PromptFailed", "CollectStarted", "CollectInputStarted"),
    *("CollectUpdated", "CollectEnded", "CollectFailed", "DetectStarted", "DetectUpdated", "DetectEnded"),
    *("TapStarted", "TapEnded"),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("sdk", [NODE_3_9, NODE_3_13, NODE_4], ids=lambda sdk: sdk.name)
async def test_every_method_of_a_call_works_or_says_why_not(case: RelayCase, sdk: Sdk) -> None:
    steps, done = await tried(case, sdk)
    assert done["untried"] == []
    for name, shown in WORKS.items():
        step = steps.pop(name)
        assert step["came"] == "ok", step
        assert {key: step["told"].get(key) for key in shown} == shown, step
    if sdk is NODE_3_9:  # it has no `pass`
        assert steps.pop("pass of one that was not offered")["came"] == "refused"
    for name, (code, sentence) in REFUSED.items():
        if (step := steps.pop(name, None)) is not None:
            assert (step["came"], step["told"].get("code")) == ("refused", code), step
            assert sentence in step["told"]["message"]
    busy = steps.pop(BUSY)
    # This one version forgets the reason on its way to the promise, which is never settled.
    assert busy["came"] == ("nothing" if sdk is NODE_3_13 else "refused"), busy
    assert busy.get("told", {}).get("failedReason") == (None if sdk is NODE_3_13 else "busy")
    assert steps == {}
    wanted = V4_EVENTS if sdk.is_v4 else V3_EVENTS
    assert wanted <= set(done["heard"])


NOT_NOW = {
    "answer": "The call is answered already.",
    "pass_": "The call is not offered to this client now.",
    "disconnect": "The call is not connected to another one.",
    "play_and_collect.start_input_timers": "is that of a play_and_collect, not of a collect.",
}
OF_PYTHON = {"queue_enter": "queue.enter", "queue_leave": "queue.leave", "denoise_stop": "denoise.stop"}
"""Its names of methods that are written otherwise on the wire."""


@pytest.mark.timeout(240)
async def test_every_method_of_the_python_sdk_works_or_is_refused_by_its_name(case: RelayCase) -> None:
    steps, done = await tried(case, PYTHON)
    assert done["untried"] == []
    named = {f"calling.{OF_PYTHON.get(name, name)}": step for name, step in steps.items()}
    unbuilt = {method: step for method, step in named.items() if method.removesuffix(".stop") in UNBUILT}
    assert {method.removesuffix(".stop") for method in unbuilt} == UNBUILT
    for method, step in unbuilt.items():
        assert (step["came"], step["code"]) == ("refused", "501"), step
        assert f"{method} is not built into this server." in step["message"]
    for name, sentence in NOT_NOW.items():
        assert (steps[name]["came"], steps[name]["code"]) == ("refused", "409")
        assert sentence in steps[name]["message"]
    rest = [s for s in named.values() if s not in unbuilt.values() and s["name"] not in NOT_NOW]
    assert [step for step in rest if step["came"] != "ok"] == []
    assert len(rest) > 40
