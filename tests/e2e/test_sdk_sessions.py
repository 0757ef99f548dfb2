"""Sockets that break, servers that restart, wrong credentials: what programs with the real SDKs go through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from .cases import ANSWERS, FAR_TONE, until
from .sdk.lab import RelayCase, RelayLab, relay_laboratory
from .sdk.programs import ALL, Sdk, cable

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_peer]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayLab]:
    async with relay_laboratory(tmp_path_factory.mktemp("relay")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def case(lab: RelayLab) -> AsyncIterator[RelayCase]:
    made = lab.case()
    yield made
    await made.close()


@pytest.fixture(params=ALL, ids=lambda sdk: sdk.name)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    one: Sdk = request.param
    one.check()
    return one


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


async def test_a_program_lives_through_a_restart_of_the_server(tmp_path: Path, sdk: Sdk) -> None:
    async with relay_laboratory(tmp_path) as before:
        case = before.case()
        async with cable(before.port(sdk)) as wire:
            program = await case.program(sdk, "redial", port=wire.port, devices=[[case.phone("a", ANSWERS)]])
            await program.says("ready")
            caller = await case.calls()
            await program.says("answered")
            assert await caller.answered()
            wire.cut()
            await before.lab.server.stop()
            await caller.ended()
            async with relay_laboratory(tmp_path / "again") as after:
                wire.lead_to(after.port(sdk))
                wire.mend()
                await until(lambda: wire.connections >= 1, within=60.0)
                second = RelayCase(after, after.case().case)
                called = await second.calls()
                await program.says("answered", within=60.0)
                called.hang_up()
                await called.ended()
                await case.close()
