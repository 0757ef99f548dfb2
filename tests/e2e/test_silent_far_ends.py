"""Far ends that send no media any more are hung up with the reason, unless they hold."""

from __future__ import annotations

import asyncio

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import PhoneBank, SimulatedPhone

from .book import Book
from .conftest import StartServer

LIMIT = {"rtp_timeout": 1.5}


def connecting(to: str) -> str:
    return f"sections: {{main: [{{connect: {{to: '{to}'}}}}, {{play: 'silence:0.1'}}]}}"


async def test_46_a_far_end_that_sends_nothing_is_hung_up_and_the_script_goes_on(
    start_server: StartServer,
) -> None:
    async with PhoneBank(lambda _: Behaviour(muted=True)) as bank, SimulatedPhone() as caller:
        to = bank.uri("mute")
        server = await start_server(connecting(to), media=LIMIT)
        book = Book(server)
        call = await caller.call(f"sip:+15551230000@{server.socket.local.host_port}")
        await call.ended(within=10.0)
        await book.rest()
    assert book.ends() == {to: "media_timeout"}
    assert (book.connects(), book.caller_ends()) == (
        ["connecting", "connected", "disconnected"],
        ["script_ended"],
    )
    [record] = [record for record in await server.store.calls() if record.start.direction == "outbound"]
    assert record.end is not None
    assert "sent no media any more" in record.end.sentence


async def test_46_a_far_end_that_holds_may_be_silent_for_as_long_as_it_likes(
    start_server: StartServer,
) -> None:
    async with PhoneBank(lambda _: Behaviour(tone_hz=659.0)) as bank, SimulatedPhone() as caller:
        server = await start_server(connecting(bank.uri("holder")), media=LIMIT)
        call = await caller.call(f"sip:+15551230000@{server.socket.local.host_port}")
        assert await call.hears(659.0)
        [holder] = bank.calls
        holder.hold("inactive")
        await asyncio.sleep(2.5)
        assert not holder.is_over
        assert not call.is_over
        holder.hold("sendrecv")
        assert await call.hears(659.0)
        call.hang_up()
        await server.exchange.quiet()
