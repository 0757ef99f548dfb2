"""Sockets that break, servers that restart, wrong credentials: what programs of the real SDKs see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from .cases import ANSWERS, FAR_TONE, until
from .sdk.lab import PROJECT, RelayCase, RelayLab, relay_laboratory
from .sdk.programs import Sdk, cable

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_peer]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayLab]:
    async with relay_laboratory(tmp_path_factory.mktemp("relay")) as made:
        yield made


async def test_a_socket_that_is_cut_in_a_connected_call_loses_nothing(case: RelayCase, sdk: Sdk) -> None:
    """The peer hangs up while there is no socket: the program hears of it when it is back."""
    async with cable(case.lab.port(sdk)) as wire:
        program = await case.program(sdk, "connect", port=wire.port, devices=[[case.phone("peer", ANSWERS)]])
        await program.says("ready")
        caller = await case.calls()
        await program.says("connected")
        peer = await case.case.incoming("peer")
        assert await caller.hears(FAR_TONE)
        wire.cut()
        peer.hang_up()
        await peer.ended()
        assert not program.has_said("disconnected")
        wire.mend()
        await program.says("disconnected", within=60.0)
        assert not caller.is_over
        program.go()
        await program.says("over")
        await caller.ended()


async def test_wrong_credentials_are_refused_and_nothing_is_dialled(case: RelayCase, sdk: Sdk) -> None:
    device = case.phone("a", ANSWERS)
    async with cable(case.lab.port(sdk)) as wire:
        program = await case.program(sdk, "dial", port=wire.port, devices=[[device]], token="wrong")
        await until(lambda: wire.made >= 1, within=30.0)
        await until(lambda: wire.connections == 0, within=10.0)
        assert not program.has_said("answered")
    assert case.case.labels("a") == []


async def test_a_program_lives_through_a_planned_restart(tmp_path: Path, sdk: Sdk) -> None:
    """It is told that the server goes, and of the end of its call; it comes back by itself, and all works."""
    async with relay_laboratory(tmp_path) as before, cable(before.port(sdk)) as wire:
        case = before.case()
        program = await case.program(sdk, "redial", port=wire.port, devices=[[case.phone("a", ANSWERS)]])
        await program.says("ready")
        caller = await case.calls()
        await program.says("answered")
        assert await caller.answered()
        await before.lab.server.stop()
        await caller.ended()
        await program.says("ended")
        wire.cut()
        async with relay_laboratory(tmp_path, issuer=before.issuer) as after:
            wire.lead_to(after.port(sdk))
            wire.mend()
            relay = after.lab.server.relay
            await until(lambda: bool(relay.hub.subscribers(PROJECT, "office")), within=30.0)
            again = after.case()
            second = await again.calls()
            await program.says("answered")
            # Its devices are those of the first lab, whose phones are still there.
            program.go()
            await program.says("dialled")
            await program.says("over")
            second.hang_up()
            await program.says("ended")
            await case.close()
            await again.close()
