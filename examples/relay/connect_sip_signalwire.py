"""Answers a call, connects it with a SIP phone, and speaks to both: SignalWire's Python SDK.

pip install signalwire-sdk==3.7.5
SIGNALWIRE_RELAY_CA_FILE=ca.pem python connect_sip_signalwire.py

It speaks TLS only, so the server needs `http.tls_port`.  The peer is no object here: ids name it.
"""

# mypy: ignore-errors
from __future__ import annotations

import asyncio
import contextlib
import os
import uuid

from signalwire.relay.client import RelayClient, RelayError

CONNECT = "calling.call.connect"

client = RelayClient(
    project=os.environ.get("CORDBOARD_PROJECT", "demo"),
    token=os.environ.get("CORDBOARD_TOKEN", "demo-token"),
    host=os.environ.get("CORDBOARD_HOST", "localhost:8443"),
    contexts=["office"],
)


def told(call, *states):
    """The next event that says one of these; ask for it before what brings it about."""
    event = call.wait_for(CONNECT, lambda event: event.params["connect_state"] in states)
    return asyncio.create_task(event)


async def say(peer, text):
    """Speak to a call of which only the ids are known."""
    params = {"call_id": peer["call_id"], "node_id": peer["node_id"], "control_id": str(uuid.uuid4())}
    await client.execute("calling.play", {**params, "play": [{"type": "tts", "params": {"text": text}}]})


async def hang_up(peer):
    """A peer is a call of its own: it stays when the caller hangs up.  One that left is not found."""
    with contextlib.suppress(RelayError):
        await client.execute("calling.end", {"call_id": peer["call_id"], "node_id": peer["node_id"]})


@client.on_call
async def office(call):
    await call.answer()
    params = {
        "from": "sip:office@example.com",
        "to": "sip:alice@phones.test",
        "timeout": 30,
        "headers": [
            {"name": "X-SomeKeyA", "value": "SomeValueA"},
            {"name": "X-SomeKeyB", "value": "SomeValueB"},
        ],
    }
    connected = told(call, "connected", "failed")
    disconnected = told(call, "disconnected", "failed")
    await asyncio.sleep(0)
    await call.connect([[{"type": "sip", "params": params}]])
    event = await connected
    if event.params["connect_state"] == "connected":
        peer = event.params["peer"]
        print("connected with", peer["device"]["params"]["to"], flush=True)
        await call.play_tts("You are peer 1")
        await say(peer, "You are peer 2")
        await disconnected
        print("apart", flush=True)
        await hang_up(peer)
        playing = await call.play_tts("The peer disconnected")
        await playing.wait()
    else:
        print("not connected:", event.params["failed_reason"], flush=True)
    await call.hangup()
    await call.wait_for_ended()
    print("over", flush=True)


if __name__ == "__main__":
    client.run()
