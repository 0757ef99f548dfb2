"""A client with `cordboard.client` that does what the test says; see node/remote.cjs."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from cordboard.client import Call, Client, Device, Playlist, RequestError, phone, sip
from cordboard.client.call import STATES
from cordboard.client.operations import Operation

Json = dict[str, Any]

OPTIONS: Json = json.loads(sys.argv[1])

client = Client(OPTIONS["project"], OPTIONS["token"], OPTIONS["host"])
calls: dict[str, Call] = {}
operations: list[Any] = []


def say(what: str, **data: Any) -> None:
    print(json.dumps({"what": what, **data}), flush=True)


def known(call: Call) -> Json:
    calls[call.id] = call
    return about(call)


def about(call: Call) -> Json:
    return {
        "id": call.id,
        "state": call.state,
        "type": call.type,
        "from": call.from_,
        "to": call.to,
        "direction": call.direction,
        "context": call.context,
        "reason": call.end_reason,
    }


def snake(params: Json) -> Json:
    """The names of the test → those of Python."""
    renamed = {re.sub("[A-Z]", lambda m: "_" + m[0].lower(), key): value for key, value in params.items()}
    if "from" in renamed:
        renamed["from_"] = renamed.pop("from")
    return renamed


def plan(devices: list[list[Json]]) -> list[list[Device]]:
    return [[_device(dict(one)) for one in group] for group in devices]


def _device(params: Json) -> Device:
    make: Callable[..., Device] = sip if params.pop("type") == "sip" else phone
    return make(**snake(params))


def media(items: list[Json]) -> Playlist:
    return Playlist(*({"type": item.pop("type"), "params": item} for item in items))


def ringing(params: Json) -> Json:
    """The options of a connect."""
    named = snake(params)
    if "ringback" in named:
        named["ringback"] = media(named["ringback"])
    return named


async def watching(call: Call) -> None:
    """Say each state that the call enters."""
    for state in STATES[STATES.index(call.state) + 1 :]:
        await call.wait_for(state, "ended")
        say("state", call=call.id, state=call.state, reason=call.end_reason or None)
        if call.has_ended:
            return


def begun(operation: Operation) -> Json:
    operations.append(operation)
    return {"op": len(operations) - 1}


def facts(operation: Any) -> Json:
    names = ("state", "type", "digits", "terminator", "url", "size", "duration", "heard")
    return {name: getattr(operation, name, None) for name in names}


class Verbs:
    """What a test can ask for."""

    async def receive(self, contexts: list[str]) -> None:
        for context in contexts:
            await client.receive(context, offered)

    async def unreceive(self, contexts: list[str]) -> None:
        for context in contexts:
            await client.unreceive(context)

    async def dial(self, devices: list[list[Json]], **options: Any) -> Json:
        return known(await client.dial(plan(devices), **snake(options)))

    async def dial_phone(self, **params: Any) -> Json:
        return known(await client.dial_phone(**snake(params)))

    async def dial_sip(self, **params: Any) -> Json:
        return known(await client.dial_sip(**snake(params)))

    async def can(self, call: Call, names: list[str]) -> Json:
        return {name: callable(getattr(call, name, None)) for name in names}

    async def about(self, call: Call) -> Json:
        return about(call)

    async def peer(self, call: Call) -> Json:
        return {"id": call.peer.id if call.peer else None}

    async def watch(self, call: Call) -> None:
        tasks.add(asyncio.ensure_future(watching(call)))

    async def answer(self, call: Call) -> Json:
        return known(await call.answer())

    async def hangup(self, call: Call, reason: str = "hangup") -> None:
        await call.hangup(reason)

    async def pass_(self, call: Call) -> None:
        await call.pass_()

    async def wait_for(self, call: Call, state: str) -> None:
        await call.wait_for(state)

    async def connect(self, call: Call, devices: list[list[Json]], **options: Any) -> Json:
        return known(await call.connect(plan(devices), **ringing(options)))

    async def connect_phone(self, call: Call, **params: Any) -> Json:
        return known(await call.connect_phone(**ringing(params)))

    async def connect_sip(self, call: Call, **params: Any) -> Json:
        return known(await call.connect_sip(**ringing(params)))

    async def disconnect(self, call: Call) -> None:
        await call.disconnect()

    async def disconnected(self, call: Call) -> None:
        await call.disconnected()

    async def play(self, call: Call, items: list[Json], volume: float | None = None) -> Json:
        return begun(await call.play(media(items), volume=volume))

    async def prompt(self, call: Call, items: list[Json], digits: Json, **options: Any) -> Json:
        wanted = snake({**digits, **options})
        return begun(await call.prompt(media(items), max_digits=wanted.pop("max", None), **wanted))

    async def record(self, call: Call, **audio: Any) -> Json:
        return begun(await call.record(**snake(audio)))

    async def collect(self, call: Call, digits: Json, **options: Any) -> Json:
        wanted = snake({**digits, **options})
        return begun(await call.collect(max_digits=wanted.pop("max", None), **wanted))

    async def detect(self, call: Call, kind: str, **params: Any) -> Json:
        return begun(await call.detect(kind, **snake(params)))

    async def send_digits(self, call: Call, digits: str) -> None:
        await call.send_digits(digits)

    async def refer(self, call: Call, to: str) -> None:
        await call.refer(to)

    async def hold(self, call: Call) -> None:
        await call.hold()

    async def unhold(self, call: Call) -> None:
        await call.unhold()

    async def transfer(self, call: Call, dest: str) -> None:
        await call.transfer(dest)

    async def pause(self, op: int) -> None:
        await operations[op].pause()

    async def resume(self, op: int) -> None:
        await operations[op].resume()

    async def stop(self, op: int) -> None:
        await operations[op].stop()

    async def ended(self, op: int) -> Json:
        return facts(await operations[op].ended())


async def offered(call: Call) -> None:
    say("offered", **known(call))


METHODS = {
    "dialPhone": "dial_phone",
    "dialSip": "dial_sip",
    "waitFor": "wait_for",
    "connectPhone": "connect_phone",
    "connectSip": "connect_sip",
    "sendDigits": "send_digits",
    "pass": "pass_",
}


async def obey(line: str) -> None:
    order = json.loads(line)
    number, verb = order.pop("id"), order.pop("verb")
    if "call" in order:
        order["call"] = calls[order["call"]]
    try:
        do: Callable[..., Awaitable[Json | None]] = getattr(Verbs(), METHODS.get(verb, verb))
        say(f"#{number}", value=await do(**order) or {})
    except RequestError as error:
        say(f"#{number}", error={"code": error.code, "message": str(error)})
    except Exception as error:
        reason = getattr(error, "reason", None)
        say(f"#{number}", error={"kind": type(error).__name__, "reason": reason, "message": str(error)})


tasks: set[asyncio.Future[None]] = set()


async def main() -> None:
    for context in OPTIONS["contexts"]:
        client.on_call(context)(offered)
    async with client:
        say("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            tasks.add(asyncio.ensure_future(obey(line)))


asyncio.run(main())
