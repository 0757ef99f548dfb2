"""SIP over TCP: connections are used again, and no way of holding one keeps it for ever."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import Any

import pytest

from cordboard.server.sip_streams import StreamLimits
from cordboard.sip.endpoint import Endpoint

from .transport_bench import WAIT, Bench, FarEnd, Make, ended, options


async def connect(bench: Bench, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    there = bench.at("TCP")
    return await asyncio.open_connection(there.address, there.port, **options)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---------------------------------------------------------------- messages and connections


async def test_udp_and_tcp_have_the_same_port(make: Make) -> None:
    bench = make()
    udp, tcp = bench.transports.local
    assert (udp.transport, tcp.transport) == ("UDP", "TCP")
    assert udp.port == tcp.port


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("v6", [False, True])
async def test_a_message_goes_there_and_its_answer_back(make: Make, transport: str, v6: bool) -> None:
    one, other = make(address_v6="::1"), make(address_v6="::1")
    other.answer = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
    one.transports.send(options(), other.at(transport, v6=v6))
    await one.until(lambda: one.received)
    assert other.received[0][0] == options()
    assert one.received == [(other.answer, other.at(transport, v6=v6))]
    if transport == "TCP":
        assert (one.transports.connections(), other.transports.connections()) == (1, 1)


async def test_messages_come_whole_and_in_order_however_they_are_cut(make: Make) -> None:
    bench = make()
    _, writer = await connect(bench)
    sent = [options(str(number), body=b"x" * number) for number in range(50)]
    stream = b"".join(sent)
    for begin in range(0, len(stream), 999):
        writer.write(stream[begin : begin + 999])
        await asyncio.sleep(0)
    await bench.until(lambda: len(bench.received) == 50)
    assert [data for data, _ in bench.received] == sent
    writer.close()


async def test_what_is_sent_while_connecting_waits_and_one_connection_serves_all(
    make: Make, far_end: FarEnd
) -> None:
    bench = make()
    there = Endpoint("TCP", "127.0.0.1", far_end.port)
    for number in range(5):
        bench.transports.send(options(str(number)), there)
    expected = b"".join(options(str(number)) for number in range(5))
    await bench.until(lambda: far_end.read == expected)
    bench.transports.send(options("late"), there)
    await bench.until(lambda: far_end.read == expected + options("late"))
    assert len(far_end.connections) == 1


async def test_what_waits_for_a_connection_has_a_bound(make: Make, far_end: FarEnd) -> None:
    bench = make()
    for number in range(70):
        bench.transports.send(options(str(number)), Endpoint("TCP", "127.0.0.1", far_end.port))
    assert "too much waits for it" in await bench.failure()
    await bench.until(lambda: far_end.read.count(b"OPTIONS sip") == 64)


async def test_a_request_for_the_far_end_goes_on_the_connection_that_it_opened(make: Make) -> None:
    bench = make()
    reader, writer = await connect(bench)
    writer.write(options())
    await bench.until(lambda: bench.received)
    bench.transports.send(options("ours"), bench.received[0][1])
    assert await reader.readexactly(len(options("ours"))) == options("ours")
    assert bench.transports.connections() == 1
    writer.close()


async def test_after_a_connection_has_ended_the_next_message_opens_another(
    make: Make, far_end: FarEnd
) -> None:
    bench = make()
    there = Endpoint("TCP", "127.0.0.1", far_end.port)
    bench.transports.send(options("1"), there)
    await bench.until(lambda: far_end.read)
    far_end.connections[0].close()
    await bench.until(lambda: bench.transports.connections() == 0)
    bench.transports.send(options("2"), there)
    await bench.until(lambda: options("2") in far_end.read)


# ---------------------------------------------------------------- failures


async def test_a_refused_connection_is_told_at_once_and_by_name(make: Make) -> None:
    bench = make()
    there = Endpoint("TCP", "127.0.0.1", free_port())
    bench.transports.send(options(), there)
    assert bench.failed == [], "not in the middle of the send"
    sentence = await bench.failure()
    assert bench.failed[0][0] == there
    assert "refused the connection: check that something listens on that port" in sentence


async def test_a_connection_that_does_not_open_in_time_is_told(make: Make) -> None:
    with socket.socket() as deaf, ExitStack() as closing:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        for _ in range(3):  # the queue is full: the kernel answers no further SYN
            filler = closing.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        bench = make(limits=StreamLimits(connect=0.2))
        bench.transports.send(options(), Endpoint("TCP", "127.0.0.1", port))
        assert "did not take the connection in time" in await bench.failure()


async def test_a_far_end_that_breaks_the_connection_fails_what_was_just_sent(
    make: Make, far_end: FarEnd
) -> None:
    bench = make()
    there = Endpoint("TCP", "127.0.0.1", far_end.port)
    bench.transports.send(options(), there)
    await bench.until(lambda: far_end.read)
    far_end.connections[0].transport.abort()
    await bench.failure()
    assert bench.failed[0][0] == there


async def test_an_address_of_an_ip_version_without_a_socket_fails(make: Make) -> None:
    bench = make()
    bench.transports.send(options(), Endpoint("UDP", "::1", 5060))
    assert "no SIP address of that IP version" in await bench.failure()


async def test_a_tcp_port_that_is_taken_is_named(make: Make) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=rf"SIP port 127.0.0.1:{port} \(TCP\): Address already in use"):
            make(port=port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", port))  # nothing of the failed start is left


async def test_a_far_end_that_never_reads_is_left(make: Make) -> None:
    bench = make()
    reader, writer = await connect(bench, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined] # asyncio's own transports have it
    writer.write(options())
    await bench.until(lambda: bench.received)
    source = bench.received[0][1]
    for _ in range(2_000):
        bench.transports.send(options(body=b"x" * 8_000), source)
        if bench.failed:
            break
        await asyncio.sleep(0)
    assert "it does not read what is sent to it" in await bench.failure()
    await bench.until(lambda: bench.transports.connections() <= 1)
    del reader
    writer.close()


# ---------------------------------------------------------------- who holds a connection without using it


async def test_one_byte_at_a_time_ends_with_the_time_for_a_message(make: Make) -> None:
    bench = make(limits=StreamLimits(message=0.3))
    reader, writer = await connect(bench)

    async def drip() -> None:
        for byte in options():
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    assert await ended(reader) == b""
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)
    assert bench.received == []
    writer.close()


async def test_who_says_nothing_is_let_go_and_who_has_spoken_stays(make: Make) -> None:
    bench = make(limits=StreamLimits(first_message=0.3, message=0.4))
    silent, silent_writer = await connect(bench)
    _, talker = await connect(bench)
    talker.write(options())
    await bench.until(lambda: bench.received)
    assert await ended(silent) == b""
    await bench.until(lambda: bench.transports.connections() == 1)
    for writer in (silent_writer, talker):
        writer.close()


async def test_a_connection_that_falls_silent_is_closed_unless_it_sends_keep_alives(make: Make) -> None:
    bench = make(limits=StreamLimits(idle=0.6, message=0.4))
    quiet, quiet_writer = await connect(bench)
    alive, alive_writer = await connect(bench)
    quiet_writer.write(options())
    alive_writer.write(options())
    pinging = True

    async def ping() -> None:
        while pinging:
            alive_writer.write(b"\r\n\r\n")
            await asyncio.sleep(0.1)

    task = asyncio.create_task(ping())
    assert await ended(quiet) == b""
    pinging = False
    await task
    assert bench.transports.connections() == 1
    assert (await alive.read(2)) == b"\r\n", "and each has its answer"
    for writer in (quiet_writer, alive_writer):
        writer.close()


async def test_connections_beyond_the_cap_of_a_source_are_refused_and_others_unharmed(make: Make) -> None:
    bench = make(address="127.0.0.1", max_connections_per_source=50)
    there = bench.at("TCP")
    _, first = await connect(bench)
    opened = []
    for _ in range(300):
        opened.append(socket.create_connection((there.address, there.port), timeout=WAIT))
        await asyncio.sleep(0)
    await bench.until(lambda: bench.transports.refused() == 251)
    assert bench.transports.connections() == 50
    first.write(options("before"))
    _, other = await connect(bench, local_addr=("127.0.0.2", 0))
    other.write(options("other"))
    await bench.until(lambda: len(bench.received) == 2)
    for sock in opened:
        sock.close()
    await bench.until(lambda: bench.transports.connections() == 2)
    for writer in (first, other):
        writer.close()


async def test_a_full_table_makes_room_at_the_cost_of_who_never_said_anything(make: Make) -> None:
    bench = make(max_connections=20)
    there = bench.at("TCP")
    _, talker = await connect(bench)
    talker.write(options("early"))
    await bench.until(lambda: bench.received)
    opened = []
    for _ in range(300):
        opened.append(socket.create_connection((there.address, there.port), timeout=WAIT))
        await asyncio.sleep(0)
    _, late = await connect(bench)
    late.write(options("late"))
    talker.write(options("still"))
    await bench.until(lambda: len(bench.received) == 3)
    assert bench.transports.connections() == 20
    for sock in opened:
        sock.close()
    for writer in (talker, late):
        writer.close()


async def test_a_table_full_of_users_takes_nobody_in(make: Make) -> None:
    bench = make(max_connections=3)
    writers = []
    for number in range(3):
        _, writer = await connect(bench)
        writer.write(options(str(number)))
        writers.append(writer)
    await bench.until(lambda: len(bench.received) == 3)
    reader, extra = await connect(bench)
    assert await ended(reader) == b""
    assert bench.transports.connections() == 3
    for writer in (*writers, extra):
        writer.close()


async def test_what_is_no_sip_is_refused_and_the_connection_closed(make: Make) -> None:
    bench = make()
    reader, writer = await connect(bench)
    writer.write(options().replace(b"Content-Length: 0", b"Content-Length: 99999999999"))
    assert (await ended(reader)).startswith(b"SIP/2.0 4")
    assert bench.received == []
    await bench.until(lambda: bench.transports.connections() == 0)
    writer.close()


async def test_connections_of_ours_are_kept_alive(make: Make, far_end: FarEnd) -> None:
    bench = make(limits=StreamLimits(keep_alive=0.2, message=0.4))
    bench.transports.send(options(), Endpoint("TCP", "127.0.0.1", far_end.port))
    await bench.until(lambda: far_end.read.count(b"\r\n\r\n") >= 3)


async def test_closing_ends_every_connection_and_tells_nothing(make: Make, far_end: FarEnd) -> None:
    bench = make()
    reader, writer = await connect(bench)
    bench.transports.send(options(), Endpoint("TCP", "127.0.0.1", far_end.port))
    await bench.until(lambda: far_end.read)
    bench.transports.send(options(), Endpoint("TCP", "127.0.0.1", free_port()))
    await bench.close()
    await bench.close()
    assert await ended(reader) == b""
    assert bench.failed == []
    writer.close()
