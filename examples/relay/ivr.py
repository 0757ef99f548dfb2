"""A menu: the caller presses a key and is connected, or leaves a message.  `cordboard.client`.

python examples/relay/ivr.py
"""

from __future__ import annotations

import os

from cordboard.client import Call, CallEndedError, Client, ConnectError, phone, sip, tts

DEPARTMENTS = {
    "1": ("sales", [sip(to="sip:bob@phones.test", timeout=20), phone(to="+15550100", timeout=20)]),
    "2": ("support", [sip(to="sip:alice@phones.test", timeout=20)]),
}
TRIES = 3

client = Client(
    os.environ.get("CORDBOARD_PROJECT", "demo"),
    os.environ.get("CORDBOARD_TOKEN", "demo-token"),
    os.environ.get("CORDBOARD_HOST", "ws://127.0.0.1:8080"),
)


async def choice(call: Call) -> str:
    """The key of a department; empty: none was chosen."""
    for _ in range(TRIES):
        asking = await call.prompt(
            tts("For sales press one. For support press two."), max_digits=1, initial_timeout=5
        )
        heard = await asking.ended()
        if heard.type == "digit" and heard.digits in DEPARTMENTS:
            return heard.digits
    return ""


async def leave_message(call: Call) -> None:
    """Record until the caller is silent for 2 s, presses #, or hangs up."""
    await (await call.play_tts("Please leave a message.")).ended()
    recording = await call.record(beep=True, terminators="#", initial_timeout=5, end_silence_timeout=2)
    await recording.ended()
    print(f"message of {recording.duration:.1f} s: {recording.url}", flush=True)


async def serve(call: Call) -> None:
    """Until one of the two hangs up."""
    await call.answer()
    key = await choice(call)
    if not key:
        await leave_message(call)
        return
    name, devices = DEPARTMENTS[key]
    try:
        peer = await call.connect(devices)
    except ConnectError as error:
        print(f"{name}: {error.reason}", flush=True)
        await leave_message(call)
        return
    print(f"{name}: {peer.to}", flush=True)
    async with peer:  # a call of its own: it would stay when the caller hangs up
        await call.disconnected()


@client.on_call("office")
async def reception(call: Call) -> None:
    async with call:
        try:
            await serve(call)
        except CallEndedError:
            print(f"{call.from_} has left", flush=True)


if __name__ == "__main__":
    client.run()
