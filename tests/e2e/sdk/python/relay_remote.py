"""A client with `signalwire-sdk` that does what the test says; see node/remote.cjs.

It has no typed peer: a peer is commanded by its ids, and nothing about it is told but its states.
"""

# mypy: ignore-errors
from __future__ import annotations

import asyncio
import json
import re
import sys
import uuid

from signalwire.relay.client import RelayClient, RelayError

OPTIONS = json.loads(sys.argv[1])

calls = {}
operations = []


class Peer:
    """What a `connect` has led to."""

    def __init__(self, told):
        self.call_id, self.node_id = told["call_id"], told["node_id"]
        self.device, self.direction, self.state = told["device"], "outbound", "answered"

    async def _ask(self, method, **params):
        await relay.execute(method, {"node_id": self.node_id, "call_id": self.call_id, **params})

    async def hangup(self, reason="hangup"):
        await self._ask("calling.end", reason=reason)

    async def play(self, play, **params):
        await self._ask("calling.play", control_id=str(uuid.uuid4()), play=play)

    async def send_digits(self, digits):
        await self._ask("calling.send_digits", control_id=str(uuid.uuid4()), digits=digits)


def say(what, **data):
    print(json.dumps({"what": what, **data}), flush=True)


def known(call):
    calls[call.call_id] = call
    return about(call)


def about(call):
    device = (call.device or {}).get("params", {})
    return {
        "id": call.call_id,
        "state": call.state,
        "type": (call.device or {}).get("type"),
        "from": device.get("from") or device.get("from_number"),
        "to": device.get("to") or device.get("to_number"),
        "direction": call.direction,
    }


def snake(params):
    """The names of the test → those of the protocol."""
    return {re.sub("[A-Z]", lambda m: "_" + m[0].lower(), key): value for key, value in params.items()}


def device(one):
    params = snake({key: value for key, value in one.items() if key != "type"})
    if one["type"] == "phone":
        params["to_number"] = params.pop("to")
        if "from" in params:
            params["from_number"] = params.pop("from")
    return {"type": one["type"], "params": params}


def plan(devices):
    return [[device(one) for one in group] for group in devices]


def media(items):
    return [
        {"type": item["type"], "params": {k: v for k, v in item.items() if k != "type"}} for item in items
    ]


async def connect(call, devices, ringback=None, **options):
    told = asyncio.ensure_future(
        call.wait_for(
            "calling.call.connect", lambda event: event.params["connect_state"] in ("connected", "failed")
        )
    )
    await asyncio.sleep(0)
    if ringback is not None:
        options["ringback"] = media(ringback)
    await call.connect(plan(devices), tag=str(uuid.uuid4()), **snake(options))
    params = (await told).params
    if params["connect_state"] == "failed":
        raise FailedError(params["failed_reason"])
    return known(Peer(params["peer"]))


class FailedError(Exception):
    pass


async def disconnected(call):
    await call.wait_for("calling.call.connect", lambda event: event.params["connect_state"] == "disconnected")


def watch(call):
    def told(event):
        params = event.params
        say("state", call=call.call_id, state=params["call_state"], reason=params.get("end_reason"))

    def connect_told(event):
        params = event.params
        say("connect", call=call.call_id, state=params["connect_state"], reason=params.get("failed_reason"))

    call.on("calling.call.state", told)
    call.on("calling.call.connect", connect_told)


def begun(action, heard=None):
    operations.append((action, heard if heard is not None else []))
    return {"op": len(operations) - 1}


async def detect(call, kind, **params):
    """The SDK's action is content with the first event; the rest is told by the call."""
    heard, over = [], asyncio.get_running_loop().create_future()
    timeout = params.pop("timeout", None)
    action = await call.detect({"type": kind, "params": snake(params)}, timeout=timeout)

    def told(event):
        if event.params["control_id"] != action.control_id:
            return
        said = event.params["detect"]["params"]["event"]
        if said in ("finished", "error"):
            over.set_result({"state": said, "type": kind})
        else:
            heard.append(said)

    call.on("calling.call.detect", told)
    action.over = over
    return begun(action, heard)


def facts(event):
    params = event.params
    result = params.get("result", {})
    got = result.get("params", {})
    return {
        **{key: params.get(key) for key in ("state", "url", "size", "duration")},
        "type": result.get("type"),
        "digits": got.get("digits"),
        "terminator": got.get("terminator"),
    }


async def ended(op):
    action, heard = operations[op]
    told = await action.over if hasattr(action, "over") else facts(await action.wait())
    return {**told, "heard": heard}


async def wait_for(call, state):
    if state == "ended":
        await call.wait_for_ended()
    else:
        await call.wait_for("calling.call.state", lambda event: event.params["call_state"] == state)


class Verbs:
    async def receive(self, contexts):
        await relay.receive(contexts)

    async def unreceive(self, contexts):
        await relay.unreceive(contexts)

    async def dial(self, devices):
        return known(await relay.dial(plan(devices)))

    async def can(self, call, names):
        return {name: callable(getattr(call, name, None)) for name in names}

    async def about(self, call):
        return about(call)

    async def watch(self, call):
        watch(call)

    async def answer(self, call):
        await call.answer()
        await call.wait_for_answered()
        return about(call)

    async def hangup(self, call, reason="hangup"):
        await call.hangup(reason)
        if not isinstance(call, Peer):
            await call.wait_for_ended()

    async def pass_(self, call):
        await call.pass_()

    async def wait_for(self, call, state):
        await wait_for(call, state)

    async def connect(self, call, devices, **options):
        return await connect(call, devices, **options)

    async def connect_phone(self, call, ringback=None, max_price_per_minute=None, **params):
        extra = {} if max_price_per_minute is None else {"max_price_per_minute": max_price_per_minute}
        return await connect(call, [[{"type": "phone", **params}]], ringback, **extra)

    async def disconnect(self, call):
        over = asyncio.ensure_future(disconnected(call))
        await asyncio.sleep(0)
        await call.disconnect()
        await over

    async def disconnected(self, call):
        await disconnected(call)

    async def play(self, call, items, volume=None):
        return begun(await call.play(media(items), volume=volume))

    async def prompt(self, call, items, digits, initial_timeout=None):
        collect = {"digits": snake(digits)}
        if initial_timeout is not None:
            collect["initial_timeout"] = initial_timeout
        return begun(await call.play_and_collect(media(items), collect))

    async def record(self, call, **audio):
        return begun(await call.record(snake(audio)))

    async def collect(self, call, digits, initial_timeout=None):
        return begun(await call.collect(digits=snake(digits), initial_timeout=initial_timeout))

    async def detect(self, call, kind, **params):
        return await detect(call, kind, **params)

    async def send_digits(self, call, digits):
        await call.send_digits(digits)

    async def refer(self, call, to):
        over = asyncio.ensure_future(
            call.wait_for("calling.call.refer", lambda event: event.params["state"] != "inProgress")
        )
        await asyncio.sleep(0)
        await call.refer({"type": "sip", "params": {"to": to}})
        return (await over).params

    async def hold(self, call):
        await call.hold()

    async def unhold(self, call):
        await call.unhold()

    async def transfer(self, call, dest):
        await call.transfer(dest)

    async def pause(self, op):
        await operations[op][0].pause()

    async def resume(self, op):
        await operations[op][0].resume()

    async def stop(self, op):
        await operations[op][0].stop()

    async def ended(self, op):
        return await ended(op)


METHODS = {
    "dialPhone": "dial_phone",
    "dialSip": "dial_sip",
    "waitFor": "wait_for",
    "connectPhone": "connect_phone",
    "connectSip": "connect_sip",
    "sendDigits": "send_digits",
    "pass": "pass_",
}


async def obey(line):
    order = snake(json.loads(line))
    number, verb = order.pop("id"), order.pop("verb")
    if "call" in order:
        order["call"] = calls[order["call"]]
    try:
        value = await getattr(Verbs(), METHODS.get(verb, verb))(**order)
        say(f"#{number}", value=value or {})
    except RelayError as error:
        say(f"#{number}", error={"code": str(error.code), "message": str(error)})
    except Exception as error:
        say(f"#{number}", error={"reason": str(error), "message": repr(error)})


relay = RelayClient(
    project=OPTIONS["project"], token=OPTIONS["token"], host=OPTIONS["host"], contexts=OPTIONS["contexts"]
)


@relay.on_call
async def on_call(call):
    say("offered", **known(call))


async def main():
    serving = asyncio.ensure_future(relay._run_forever())
    while not relay.relay_protocol:  # noqa: ASYNC110 - it has no event for that
        await asyncio.sleep(0.01)
    say("ready")
    tasks = set()
    while not serving.done():
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            return
        tasks.add(asyncio.ensure_future(obey(line)))


asyncio.run(main())
