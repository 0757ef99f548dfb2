"""Every document in examples/ does what its first line says, between phones on real sockets."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from cordboard.server.server import Server
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phones import A_TONE, ALICE_TONE, BOB_TONE, behaviour_for

from .conftest import Receiver, StartServer, serving

EXAMPLES = Path(__file__).parents[2] / "examples"
CALLER_TONE = 350.0

WINNERS = {
    "single": ("alice", ALICE_TONE),
    "serial": ("bob", BOB_TONE),
    "parallel": ("alice", ALICE_TONE),
    "serial-parallel": ("alice", ALICE_TONE),
    "forward-on-busy": ("bob", BOB_TONE),
    "after-hours": ("alice", ALICE_TONE),
    "sub-script": ("alice", ALICE_TONE),
    "from-web-service": ("bob", BOB_TONE),
    "with-callbacks": ("alice", ALICE_TONE),
    "confirm": ("dtmf", A_TONE),
    "find-me": ("alice", ALICE_TONE),
    "recording": ("alice", ALICE_TONE),
    "trunk-failover": ("bob", BOB_TONE),
    "encryption": ("alice", ALICE_TONE),
    "transfer-after-bridge": ("alice", ALICE_TONE),
    "codecs": ("bob", BOB_TONE),
    "request": ("alice", ALICE_TONE),
}
WITH_A_WEB_SERVICE = ("from-web-service", "request")


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == set(WINNERS)
    assert A_TONE
    assert behaviour_for("alice").tone_hz == ALICE_TONE


@pytest.mark.parametrize(
    "name", [name for name in WINNERS if name not in (*WITH_A_WEB_SERVICE, "with-callbacks")]
)
async def test_an_example_connects_the_right_phone_with_audio_both_ways(
    name: str, start_server: StartServer
) -> None:
    server = await start_server(EXAMPLES / f"{name}.yaml")
    await expect_conversation(server, *WINNERS[name])


@pytest.mark.parametrize("name", WITH_A_WEB_SERVICE)
async def test_a_web_service_decides(name: str, start_server: StartServer) -> None:
    async with serving(web_service().application()) as url:
        server = await start_server(EXAMPLES / f"{name}.yaml", envs={"WEB_SERVICE": url})
        await expect_conversation(server, *WINNERS[name])


async def test_callbacks_tell_the_whole_story(start_server: StartServer, receiver: Receiver) -> None:
    server = await start_server(EXAMPLES / "with-callbacks.yaml", envs={"WEB_SERVICE": receiver.url})
    await expect_conversation(server, *WINNERS["with-callbacks"])
    await receiver.until(lambda seen: len(seen.events) >= 7)
    assert receiver.states("/connect") == ["connecting", "connected", "disconnected"]
    assert receiver.states("/state") == ["created", "ended", "answered", "ended"]


async def expect_conversation(server: Server, winner: str, tone: float) -> None:
    """A caller is connected to `winner`; both hear the other; the far end hangs up and all is over."""
    assert server.phones is not None
    async with SimulatedPhone(Behaviour(tone_hz=CALLER_TONE), name="+15557770001") as caller:
        call = await caller.call(f"sip:+15551230000@{server.socket.local.host_port}")
        assert await call.hears(tone, within=15.0)
        far = next(other for other in server.phones.calls if other.report.answered_at is not None)
        assert winner in far.report.local_uri
        assert await far.hears(CALLER_TONE)
        far.hang_up()
        report = await call.ended()
        assert report.cause == "bye_received"
    await server.exchange.quiet()
    assert server.exchange.switchboard.defects == 0


def web_service() -> Any:
    spec = importlib.util.spec_from_file_location("web_service", EXAMPLES / "web_service.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
