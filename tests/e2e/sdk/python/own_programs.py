"""The programs that the tests run with `cordboard.client`, as its users would write them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from cordboard.client import (
    Call,
    Client,
    ClientError,
    ConnectError,
    Device,
    DialError,
    Playlist,
    audio,
    phone,
    sip,
    tts,
)

Options = dict[str, Any]

OPTIONS: Options = json.loads(sys.argv[1])


def say(what: str, **data: Any) -> None:
    print(json.dumps({"what": what, **data}), flush=True)


async def go() -> None:
    """The test says when the program goes on."""
    await asyncio.to_thread(sys.stdin.readline)


def about(call: Call) -> Options:
    return {
        "id": call.id,
        "state": call.state,
        "type": call.type,
        "from": call.from_,
        "to": call.to,
        "direction": call.direction,
    }


def plan() -> list[list[Device]]:
    return [[_device(dict(device)) for device in group] for group in OPTIONS["devices"]]


def _device(params: Options) -> Device:
    make: Callable[..., Device] = sip if params.pop("type") == "sip" else phone
    return make(from_=params.pop("from", None), **params)


def client() -> Client:
    authority = os.environ["SIGNALWIRE_RELAY_CA_FILE"] if OPTIONS["host"].startswith("wss") else None
    return Client(OPTIONS["project"], OPTIONS["token"], OPTIONS["host"], ca_file=authority)


async def serve(handler: Callable[[Call], Coroutine[Any, Any, None]]) -> None:
    taking = client()
    taking.on_call("office")(handler)
    async with taking:
        say("ready")
        await asyncio.Event().wait()


async def seed() -> None:
    async def office(call: Call) -> None:
        await call.answer()
        say("answered", **about(call))
        peer = await call.connect_sip(
            from_=OPTIONS["from"],
            to=OPTIONS["to"],
            timeout=30,
            headers={"X-SomeKeyA": "SomeValueA", "X-SomeKeyB": "SomeValueB"},
        )
        say("connected", peer=peer.id)
        await call.play_tts("You are peer 1")
        await peer.play_tts("You are peer 2")
        say("played")
        await call.disconnected()
        say("disconnected")
        await (await call.play_tts("The peer disconnected")).ended()
        say("played again")
        await call.hangup()
        say("over")

    await serve(office)


async def inbound() -> None:
    async def office(call: Call) -> None:
        headers = [{"name": name, "value": value} for name, value in call.headers.items()]
        say("offered", **about(call), context=call.context, headers=headers)
        if OPTIONS.get("reject"):
            await call.hangup(OPTIONS["reject"])
        else:
            await call.answer()
            say("answered", state=call.state)
            if OPTIONS.get("wait"):
                await call.ended()
            else:
                await call.hangup()
        say("over", state=call.state)

    await serve(office)


async def dial() -> None:
    async with client() as dialling:
        try:
            call = await dialling.dial(plan())
        except DialError as error:
            say("failed", reason=error.reason)
            return
        say("answered", **about(call))
        await (await call.play_audio(OPTIONS["url"])).ended()
        await finish(call)


async def connect() -> None:
    async def office(call: Call) -> None:
        await call.answer()
        try:
            peer = await call.connect(plan())
        except ConnectError as error:
            say("failed", reason=error.reason)
            await call.hangup()
            say("over")
            return
        say("connected", peer=peer.id, call=call.id, to=peer.to)
        if OPTIONS.get("leave"):
            await go()
            await call.disconnect()
        await call.disconnected()
        say("disconnected", state=call.state)
        await go()
        if OPTIONS.get("leave"):
            await peer.hangup()
        await call.hangup()
        say("over")

    await serve(office)


async def dialled(work: Callable[[Call], Awaitable[None]]) -> None:
    async with client() as dialling:
        call = await dialling.dial(plan())
        say("answered", **about(call))
        await work(call)
        await finish(call)


async def finish(call: Call) -> None:
    await go()
    await call.hangup()
    say("over", state=call.state)


async def play(call: Call) -> None:
    playing = await call.play(Playlist(audio(OPTIONS["url"]), volume=2))
    say("playing")
    await go()
    await playing.pause()
    say("paused")
    await go()
    await playing.resume()
    say("resumed")
    await playing.set_volume(-3)
    await go()
    await playing.stop()
    await playing.ended()
    say("stopped", state=playing.state)


async def prompt(call: Call) -> None:
    asking = await call.prompt(
        tts("Please enter your number"), max_digits=4, digit_timeout=5, terminators="#*"
    )
    say("asking")
    heard = await asking.ended()
    say("heard", type=heard.type, digits=heard.digits, terminator=heard.terminator)


async def record(call: Call) -> None:
    async with call.record(format="wav", direction="speak", terminators="#") as recording:
        say("recording")
        await go()
    say(
        "recorded",
        state=recording.state,
        url=recording.url,
        size=recording.size,
        duration=recording.duration,
    )


async def collect(call: Call) -> None:
    collecting = await call.collect(
        max_digits=3,
        digit_timeout=5,
        terminators="#",
        initial_timeout=10,
        partial_results=True,
        send_start_of_input=True,
    )
    say("collecting")
    heard = await collecting.ended()
    say("heard", type=heard.type, digits=heard.digits, terminator=heard.terminator)


async def detect(call: Call) -> None:
    detecting = await call.detect_digit(digits="12", timeout=1.5)
    say("detecting")
    heard = await detecting.ended()
    say("detected", type=heard.type, result=heard.first)


async def tap(call: Call) -> None:
    async with call.tap(OPTIONS["uri"], direction="both", codec="PCMU", rate=8000):
        say("tapping")
        await go()
    say("stopped")


async def send_digits(call: Call) -> None:
    await call.send_digits("1w2#")
    say("sent")


async def redial() -> None:
    taking = client()

    @taking.on_call("office")
    async def office(call: Call) -> None:
        await call.answer()
        say("answered", **about(call))
        await call.ended()
        say("ended")

    async with taking:
        say("ready")
        while True:
            await go()
            try:
                call = await taking.dial(plan())
                say("dialled", **about(call))
                await call.hangup()
                say("over")
            except ClientError as error:
                say("failed", message=str(error))


ON_A_CALL = {
    "play": play,
    "prompt": prompt,
    "record": record,
    "collect": collect,
    "detect": detect,
    "tap": tap,
    "sendDigits": send_digits,
}
PROGRAMS = {"seed": seed, "inbound": inbound, "dial": dial, "connect": connect, "redial": redial}


async def main() -> None:
    name = OPTIONS["program"]
    try:
        await (dialled(ON_A_CALL[name]) if name in ON_A_CALL else PROGRAMS[name]())
    except Exception as error:
        say("thrown", message=repr(error))
        raise


asyncio.run(main())
