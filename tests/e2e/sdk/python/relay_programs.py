"""The programs that the tests run with `signalwire-sdk`, as its users would write them.

It has no typed peer: what a `connect` led to is told by events, and a peer is commanded by its id.
"""

# mypy: ignore-errors
from __future__ import annotations

import asyncio
import json
import sys
import uuid

from signalwire.relay.client import RelayClient, RelayError

OPTIONS = json.loads(sys.argv[1])


def say(what, **data):
    print(json.dumps({"what": what, **data}), flush=True)


async def go():
    """The test says when the program goes on."""
    return await asyncio.to_thread(sys.stdin.readline)


def about(call):
    device = call.device.get("params", {})
    return {
        "id": call.call_id,
        "state": call.state,
        "type": call.device.get("type"),
        "from": device.get("from") or device.get("from_number"),
        "to": device.get("to") or device.get("to_number"),
        "direction": call.direction,
    }


def devices():
    """The plan in the words of the wire."""
    return [[_device(device) for device in group] for group in OPTIONS["devices"]]


def _device(device):
    params = {key: value for key, value in device.items() if key != "type"}
    if device["type"] == "phone":
        params["to_number"] = params.pop("to")
        if "from" in params:
            params["from_number"] = params.pop("from")
    return {"type": device["type"], "params": params}


def client(contexts=()):
    return RelayClient(
        project=OPTIONS["project"], token=OPTIONS["token"], host=OPTIONS["host"], contexts=list(contexts)
    )


async def connected(call, plan, **options):
    """Connect, and wait for what comes of it: the body of the event."""
    asked = call.wait_for(
        "calling.call.connect",
        lambda event: event.params["connect_state"] in ("connected", "failed"),
        timeout=40,
    )
    waiting = asyncio.ensure_future(asked)
    await asyncio.sleep(0)
    await call.connect(plan, tag=str(uuid.uuid4()), **options)
    return (await waiting).params


def disconnection(call):
    """To be awaited: the end of the bridge."""
    return asyncio.ensure_future(
        call.wait_for("calling.call.connect", lambda event: event.params["connect_state"] == "disconnected")
    )


async def speak_to_peer(relay, peer, text):
    params = {
        "node_id": peer["node_id"],
        "call_id": peer["call_id"],
        "control_id": str(uuid.uuid4()),
        "play": [{"type": "tts", "params": {"text": text}}],
    }
    await relay.execute("calling.play", params)


async def handler(relay, take):
    """Serve calls for the context `office` until the test ends the program."""

    @relay.on_call
    async def on_call(call):
        try:
            await take(call)
        except Exception as error:
            say("thrown", message=repr(error))

    await run(relay)


async def run(relay):
    """What `relay.run()` does in a loop of its own: reconnects for as long as it is not refused."""
    serving = asyncio.ensure_future(relay._run_forever())
    while not relay.relay_protocol and not serving.done():  # noqa: ASYNC110 - it has no event for that
        await asyncio.sleep(0.01)
    say("ready")
    await serving


async def seed():
    relay = client(["office"])

    async def take(call):
        await call.answer()
        say("answered", **about(call))
        headers = [
            {"name": "X-SomeKeyA", "value": "SomeValueA"},
            {"name": "X-SomeKeyB", "value": "SomeValueB"},
        ]
        params = {"from": OPTIONS["from"], "to": OPTIONS["to"], "timeout": 30, "headers": headers}
        told = await connected(call, [[{"type": "sip", "params": params}]])
        peer = told["peer"]
        over = disconnection(call)
        say("connected", peer=peer["call_id"])
        playing = await call.play_tts("You are peer 1")
        await speak_to_peer(relay, peer, "You are peer 2")
        say("played")
        await over
        say("disconnected")
        await playing.wait()
        await (await call.play_tts("The peer disconnected")).wait()
        say("played again")
        await call.hangup()
        await call.wait_for_ended()
        say("over")

    await handler(relay, take)


async def inbound():
    relay = client(["office"])

    async def take(call):
        params = call.device["params"]
        say("offered", **about(call), context="office", headers=params.get("headers"))
        if OPTIONS.get("reject"):
            await call.hangup(OPTIONS["reject"])
        else:
            await call.answer()
            say("answered", state=call.state)
            if not OPTIONS.get("wait"):
                await call.hangup()
        await call.wait_for_ended()
        say("over", state=call.state)

    await handler(relay, take)


async def dialled(relay):
    await relay.connect()
    call = await relay.dial(devices())
    say("answered", **about(call))
    return call


async def finish(call):
    await go()
    await call.hangup()
    await call.wait_for_ended()
    say("over", state=call.state)


async def dial():
    relay = client()
    try:
        call = await dialled(relay)
    except RelayError as error:
        say("failed", message=str(error))
        return
    await (await call.play_audio(OPTIONS["url"])).wait()
    await finish(call)


async def connect():
    relay = client(["office"])

    async def take(call):
        await call.answer()
        told = await connected(call, devices())
        if told["connect_state"] == "failed":
            say("failed", reason=told["failed_reason"])
        else:
            over = disconnection(call)
            peer = told["peer"]
            params = peer["device"]["params"]
            say("connected", peer=peer["call_id"], call=call.call_id, to=params.get("to"))
            if OPTIONS.get("leave"):
                await go()
                await call.disconnect()
            await over
            say("disconnected", state=call.state)
            await go()
            if OPTIONS.get("leave"):
                ids = {"node_id": peer["node_id"], "call_id": peer["call_id"]}
                await relay.execute("calling.end", {**ids, "reason": "hangup"})
        await call.hangup()
        say("over")

    await handler(relay, take)


async def play():
    call = await dialled(client())
    playing = await call.play([{"type": "audio", "params": {"url": OPTIONS["url"]}}], volume=2)
    say("playing")
    await go()
    await playing.pause()
    say("paused")
    await go()
    await playing.resume()
    say("resumed")
    await playing.volume(-3)
    await go()
    await playing.stop()
    ended = await playing.wait()
    say("stopped", state=ended.params["state"])
    await finish(call)


def heard(event):
    result = event.params["result"]
    params = result.get("params", {})
    return {"type": result["type"], "digits": params.get("digits"), "terminator": params.get("terminator")}


async def prompt():
    call = await dialled(client())
    digits = {"max": 4, "digit_timeout": 5, "terminators": "#*"}
    text = {"type": "tts", "params": {"text": "Please enter your number"}}
    asking = await call.play_and_collect([text], {"digits": digits})
    say("asking")
    say("heard", **heard(await asking.wait()))
    await finish(call)


async def record():
    call = await dialled(client())
    audio = {"format": "wav", "direction": "speak", "terminators": "#"}
    recording = await call.record(audio)
    say("recording")
    await go()
    await recording.stop()
    told = (await recording.wait()).params
    say("recorded", **{key: told.get(key) for key in ("state", "url", "size", "duration")})
    await finish(call)


async def collect():
    call = await dialled(client())
    collecting = await call.collect(
        digits={"max": 3, "digit_timeout": 5, "terminators": "#"}, initial_timeout=10, start_input_timers=True
    )
    say("collecting")
    say("heard", **heard(await collecting.wait()))
    await finish(call)


async def detect():
    call = await dialled(client())
    detecting = await call.detect_digit(digits="12", timeout=1.5)
    say("detecting")
    told = (await detecting.wait()).params["detect"]
    say("detected", type=told["type"], result=told["params"]["event"])
    await finish(call)


async def tap():
    call = await dialled(client())
    params = {"uri": OPTIONS["uri"], "codec": "PCMU", "rate": 8000}
    tapping = await call.tap(
        {"type": "audio", "params": {"direction": "both"}}, {"type": "ws", "params": params}
    )
    say("tapping")
    await go()
    await tapping.stop()
    say("stopped")
    await finish(call)


async def send_digits():
    call = await dialled(client())
    await call.send_digits("1w2#")
    say("sent")
    await finish(call)


async def redial():
    relay = client(["office"])

    @relay.on_call
    async def on_call(call):
        await call.answer()
        say("answered", **about(call))
        await call.wait_for_ended()
        say("ended")

    serving = asyncio.ensure_future(run(relay))
    while True:
        await go()
        try:
            call = await relay.dial(devices())
            say("dialled", **about(call))
            await call.hangup()
            await call.wait_for_ended()
            say("over")
        except RelayError as error:
            say("failed", message=str(error))
        if serving.done() and serving.exception():
            say("thrown", message=repr(serving.exception()))


PROGRAMS = {"sendDigits": send_digits}


async def main():
    name = OPTIONS["program"]
    try:
        await (PROGRAMS.get(name) or globals()[name])()
    except Exception as error:
        say("thrown", message=repr(error))
        raise


asyncio.run(main())
