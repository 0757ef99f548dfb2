"""Calls every method that the Call of signalwire-sdk and its actions have, and says how it went.

A line for each: {"what": "tried", "name", "came": "ok" | "refused" | "nothing", "code", "message"}.
"""

# mypy: ignore-errors
from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Callable
from typing import Any

from signalwire.relay import call as relay_call
from signalwire.relay.client import RelayClient, RelayError

OPTIONS = json.loads(sys.argv[1])
TO = OPTIONS["alice"]
DIGITS = {"digits": {"max": 2}, "initial_timeout": 0.2}
SILENCE = [{"type": "silence", "params": {"duration": 30}}]
TAP = {"type": "audio", "params": {"direction": "both"}}
RTP = {"type": "rtp", "params": {"addr": "127.0.0.1", "port": OPTIONS["port"]}}
SIP = [[{"type": "sip", "params": {"from": TO["from"], "to": TO["to"], "timeout": 20}}]]
REFERRED = {"type": "sip", "params": {"to": TO["to"]}}
PATIENCE = 8.0

used: set[str] = set()


def say(what: str, **data: Any) -> None:
    print(json.dumps({"what": what, **data}), flush=True)


# What a method is called with, and what is done with the action that it gives.
STEPS: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[str, ...]]] = {
    "play": (
        (SILENCE,),
        {"volume": 2, "loop": 2, "direction": "both"},
        ("pause", "resume", "volume -3", "stop", "wait"),
    ),
    "play_tts": (("hi",), {"language": "en-GB", "gender": "male", "voice": "x", "volume": 1}, ("wait",)),
    "play_audio": ((OPTIONS["url"],), {}, ("wait",)),
    "play_silence": ((0.1,), {}, ("wait",)),
    "play_ringtone": (("it",), {"duration": 0.1}, ("wait",)),
    "record": (({"beep": True},), {}, ("pause", "resume", "stop", "wait")),
    "play_and_collect": ((SILENCE, DIGITS), {}, ("volume 1", "start_input_timers", "stop", "wait")),
    "prompt_tts": (("hi", DIGITS), {}, ("wait",)),
    "prompt_audio": ((OPTIONS["url"], DIGITS), {}, ("wait",)),
    "collect": ((), {**DIGITS, "start_input_timers": False}, ("start_input_timers", "wait")),
    "detect": (({"type": "digit", "params": {}},), {"timeout": 0.2}, ("wait",)),
    "detect_digit": ((), {}, ("stop", "wait")),
    "detect_fax": ((), {"tone": "CED", "timeout": 0.2}, ("wait",)),
    "detect_answering_machine": ((), {"timeout": 0.2, "detect_message_end": True}, ("wait",)),
    "tap": ((TAP, RTP), {}, ("stop", "wait")),
    "send_digits": (("1w2",), {}, ()),
    "hold": ((), {}, ()),
    "refer": ((REFERRED,), {}, ()),
    "connect": (
        (SIP,),
        {"ringback": SILENCE, "tag": "t", "max_duration": 60, "max_price_per_minute": 0.1},
        (),
    ),
    "transfer": (('{"sections": {"main": ["hangup"]}}',), {}, ()),
    "answer": ((), {}, ()),
    "pass_": ((), {}, ()),
    "disconnect": ((), {}, ()),
    "unhold": ((), {}, ()),
    "hangup": ((), {}, ()),
    "ai": ((), {"prompt": {"text": "x"}}, ()),
    "ai_hold": ((), {}, ()),
    "ai_message": ((), {"message_text": "x"}, ()),
    "ai_unhold": ((), {}, ()),
    "amazon_bedrock": ((), {}, ()),
    "bind_digit": (("1", "calling.play"), {}, ()),
    "clear_digit_bindings": ((), {}, ()),
    "denoise": ((), {}, ()),
    "denoise_stop": ((), {}, ()),
    "echo": ((), {}, ()),
    "join_conference": (("c",), {}, ()),
    "leave_conference": (("c",), {}, ()),
    "join_room": (("r",), {}, ()),
    "leave_room": ((), {}, ()),
    "live_transcribe": (({"start": {}},), {}, ()),
    "live_translate": (({"start": {}},), {}, ()),
    "pay": (("https://example.com",), {}, ()),
    "queue_enter": (("q",), {}, ()),
    "queue_leave": (("q",), {}, ()),
    "receive_fax": ((), {}, ()),
    "send_fax": (("https://example.com/a.pdf",), {}, ()),
    "stream": (("wss://example.com",), {}, ()),
    "transcribe": ((), {}, ()),
    "user_event": ((), {"event": "x"}, ()),
}


async def tried(name: str, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
    try:
        async with asyncio.timeout(PATIENCE):
            value = await method(*given, **named)
    except TimeoutError:
        say("tried", name=name, came="nothing")
    except RelayError as error:
        say("tried", name=name, came="refused", code=str(error.code), message=str(error))
    else:
        say("tried", name=name, came="ok")
        return value
    return None


async def steered(name: str, action: Any, steps: tuple[str, ...]) -> None:
    for step in steps:
        method, *given = step.split()
        await tried(f"{name}.{method}", getattr(action, method), *map(float, given))


async def main() -> None:
    client = RelayClient(
        host=OPTIONS["host"], project=OPTIONS["project"], token=OPTIONS["token"], contexts=["none"]
    )
    await client.connect()
    for name, (given, named, then) in STEPS.items():
        call = await client.dial(SIP)
        action = await tried(name, getattr(call, name), *given, **named)
        if action is not None:
            await steered(name, action, then)
        await call.hangup()
    members = inspect.getmembers(relay_call.Call, inspect.iscoroutinefunction)
    methods = {name for name, _ in members if not name.startswith(("_", "wait_for"))}
    say("done", untried=sorted(methods - STEPS.keys()))


asyncio.run(main())
