"""Calls somebody, finds out whether a person or an answering machine is there, and speaks to either.

python examples/relay/amd.py +15550100
python examples/relay/amd.py sip:alice@phones.test
"""

from __future__ import annotations

import asyncio
import os
import sys

from cordboard.client import Call, Client, Device, DialError, phone, sip

TEXT = "This is a reminder of your appointment tomorrow at ten."


def device(to: str) -> Device:
    """A SIP URI or a number."""
    if to.startswith(("sip:", "sips:")):
        return sip(to=to, from_="sip:office@example.com", timeout=30)
    return phone(to=to, from_="+15551230000", timeout=30)


async def who(call: Call) -> str:
    """`HUMAN`, `MACHINE` or `UNKNOWN`; a machine is waited for until it takes messages."""
    detecting = await call.detect_machine(detect_message_end=True, timeout=30)
    await detecting.ended()
    return detecting.first or "UNKNOWN"


async def remind(client: Client, to: str) -> None:
    """One call."""
    try:
        call = await client.dial(device(to))
    except DialError as error:
        print(f"{to}: {error.reason}", flush=True)
        return
    async with call:
        print(f"{to}: {await who(call)}", flush=True)
        await (await call.play_tts(TEXT)).ended()
    print(f"{to}: {call.end_reason}", flush=True)


async def main() -> None:
    client = Client(
        os.environ.get("CORDBOARD_PROJECT", "demo"),
        os.environ.get("CORDBOARD_TOKEN", "demo-token"),
        os.environ.get("CORDBOARD_HOST", "ws://127.0.0.1:8080"),
    )
    async with client:
        await asyncio.gather(*(remind(client, to) for to in sys.argv[1:]))


if __name__ == "__main__":
    asyncio.run(main())
