"""Answers a call, connects it with a SIP phone, and speaks to both: `cordboard.client`.

python examples/relay/connect_sip.py
"""

from __future__ import annotations

import os

from cordboard.client import Call, CallEndedError, Client, ConnectError

client = Client(
    os.environ.get("CORDBOARD_PROJECT", "demo"),
    os.environ.get("CORDBOARD_TOKEN", "demo-token"),
    os.environ.get("CORDBOARD_HOST", "ws://127.0.0.1:8080"),
)


@client.on_call("office")
async def office(call: Call) -> None:
    async with call:
        await call.answer()
        try:
            peer = await call.connect_sip(
                from_="sip:office@example.com",
                to="sip:alice@phones.test",
                timeout=30,
                headers={"X-SomeKeyA": "SomeValueA", "X-SomeKeyB": "SomeValueB"},
            )
        except ConnectError as error:
            print("not connected:", error.reason, flush=True)
            return
        print("connected with", peer.to, flush=True)
        async with peer:  # a call of its own: it would stay when the caller hangs up
            await call.play_tts("You are peer 1")
            await peer.play_tts("You are peer 2")
            await call.disconnected()
        print("apart", flush=True)
        try:
            await (await call.play_tts("The peer disconnected")).ended()
        except CallEndedError:
            print("the caller has left", flush=True)
    print("over", flush=True)


if __name__ == "__main__":
    client.run()
