"""SIP over TLS: who is let in, whom we believe, and why not, in words.  Second implementation: openssl."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable

import pytest

from cordboard.server.sip_streams import StreamLimits
from cordboard.server.tls import TlsContexts, TlsError, TlsFiles
from cordboard.sip.endpoint import Endpoint

from .tls_papers import Papers, caller, served
from .transport_bench import WAIT, Bench, FarEnd, Make, ended, options

OPENSSL = shutil.which("openssl") or ""
needs_openssl = pytest.mark.skipif(not OPENSSL, reason="needs the openssl program")

Launch = Callable[..., "asyncio.Future[Process]"]


@pytest.fixture
async def launch() -> AsyncIterator[Callable[..., object]]:
    """Starts openssl with arguments; ends it after the test."""
    started: list[Process] = []

    async def start(*arguments: str) -> Process:
        started.append(
            await asyncio.create_subprocess_exec(OPENSSL, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        )
        return started[-1]

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def listener(make: Make, papers: Papers, certificate: str = "", **settings: object) -> Bench:
    named = certificate or papers.issue("server.pem", "127.0.0.1", "sip.example.com")
    return make(directory=papers.directory, tls_port=0, certificate=named, **settings)


async def connect(
    bench: Bench, context: ssl.SSLContext, name: str = "127.0.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    there = bench.at("TLS")
    return await asyncio.open_connection(there.address, there.port, ssl=context, server_hostname=name)


# ---------------------------------------------------------------- as the server


async def test_a_message_over_tls_is_answered_on_its_connection(make: Make, papers: Papers) -> None:
    bench = listener(make, papers)
    bench.answer = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
    reader, writer = await connect(bench, papers.context())
    writer.write(options())
    assert await reader.readexactly(len(bench.answer)) == bench.answer
    assert bench.received[0][1].transport == "TLS"
    writer.close()


@pytest.mark.parametrize(
    ("version", "spoken"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
async def test_tls_1_2_and_1_3_are_spoken_and_nothing_older(
    make: Make, papers: Papers, version: ssl.TLSVersion, spoken: bool
) -> None:
    bench = listener(make, papers)
    context = papers.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated") if not spoken else _nothing():
        context.minimum_version = context.maximum_version = version
    if spoken:
        _, writer = await connect(bench, context)
        writer.close()
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(bench, context)


class _nothing:  # noqa: N801 - reads like contextlib.nullcontext, without its type trouble
    def __enter__(self) -> None: ...
    def __exit__(self, *exc: object) -> None: ...


async def test_a_changed_certificate_is_shown_to_the_next_connection_and_no_other_notices(
    make: Make, papers: Papers
) -> None:
    bench = listener(make, papers, papers.issue("server.pem", "127.0.0.1", "old.example.com"))
    _, first = await connect(bench, papers.context(), "old.example.com")
    papers.issue("server.pem", "127.0.0.1", "new.example.com")
    _, second = await connect(bench, papers.context(), "new.example.com")
    for writer in (first, second):
        writer.write(options())
    await bench.until(lambda: len(bench.received) == 2)
    for writer in (first, second):
        writer.close()


async def test_a_broken_new_certificate_leaves_the_old_one_in_use_and_says_so(
    make: Make, papers: Papers, caplog: pytest.LogCaptureFixture
) -> None:
    bench = listener(make, papers)
    (papers.directory / "server.pem").write_text("rubbish")
    for _ in range(2):
        _, writer = await connect(bench, papers.context())
        writer.close()
    complaints = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(complaints) == 1
    assert "server.pem cannot be used" in complaints[0]
    assert "stay in use" in complaints[0]


async def test_a_client_certificate_is_demanded_where_an_authority_for_clients_is_named(
    make: Make, papers: Papers
) -> None:
    bench = listener(make, papers, client_ca="ca.pem")
    _, good = await connect(bench, papers.context(papers.issue("client.pem", "phone.example.com")))
    good.write(options())
    await bench.until(lambda: bench.received)
    for file in (None, papers.issue("foreign.pem", "phone.example.com", ca=papers.other_ca)):
        try:
            reader, writer = await connect(bench, papers.context(file))
        except (ssl.SSLError, ConnectionError):
            continue  # TLS 1.2 would say it in the handshake
        writer.write(options("stranger"))
        assert await ended(reader) == b""
        writer.close()
    assert len(bench.received) == 1
    good.close()


async def test_who_does_not_speak_tls_is_let_go_and_others_are_unharmed(make: Make, papers: Papers) -> None:
    bench = listener(make, papers)
    there = bench.at("TLS")
    plain, writer = await asyncio.open_connection(there.address, there.port)
    writer.write(options())
    await ended(plain)
    _, good = await connect(bench, papers.context())
    good.write(options())
    await bench.until(lambda: bench.received)
    await bench.until(lambda: bench.transports.connections() == 1)
    for one in (writer, good):
        one.close()


@pytest.mark.parametrize("name", ["nobody.invalid", "x" * 60 + ".example.com"])
async def test_an_unknown_server_name_is_shown_the_certificate_that_there_is(
    make: Make, papers: Papers, name: str
) -> None:
    bench = listener(make, papers)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await connect(bench, papers.context(), name)


@needs_openssl
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_can_talk_to_the_listener(
    make: Make, papers: Papers, launch: Callable[..., asyncio.Future[Process]], version: str
) -> None:
    bench = listener(make, papers)
    bench.answer = b"SIP/2.0 200 From us\r\nContent-Length: 0\r\n\r\n"
    client = await launch(
        *("s_client", "-quiet", "-verify_return_error", "-CAfile", papers.path("ca.pem"), version),
        *("-connect", f"127.0.0.1:{bench.at('TLS').port}", "-servername", "sip.example.com"),
    )
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(options())
    async with asyncio.timeout(WAIT):
        assert await client.stdout.readexactly(len(bench.answer)) == bench.answer


@needs_openssl
async def test_a_renegotiation_is_refused_and_others_are_unharmed(
    make: Make, papers: Papers, launch: Callable[..., asyncio.Future[Process]]
) -> None:
    bench = listener(make, papers)
    client = await launch(
        *("s_client", "-tls1_2", "-legacy_renegotiation", "-CAfile", papers.path("ca.pem")),
        *("-connect", f"127.0.0.1:{bench.at('TLS').port}"),
    )
    assert client.stdin is not None
    await bench.until(lambda: bench.transports.connections() == 1)
    await asyncio.sleep(0.1)
    client.stdin.write(b"R\n")  # openssl's own command
    async with asyncio.timeout(WAIT):
        _, errors = await client.communicate()
    assert b"no renegotiation" in errors.lower() or b"renegotiat" in errors.lower()
    _, good = await connect(bench, papers.context())
    good.write(options())
    await bench.until(lambda: bench.received)
    good.close()


# ---------------------------------------------------------------- as the client


async def test_a_server_with_the_right_name_gets_the_message_and_is_asked_for_by_name(
    make: Make, papers: Papers
) -> None:
    bench = caller(make, papers)
    asked: list[str | None] = []
    context = papers.context(papers.issue("s.pem", "sip.example.com"), protocol=ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda sock, name, ctx: asked.append(name)
    far_end = await FarEnd().start(context=context)
    there = Endpoint("TLS", "127.0.0.1", far_end.port, "sip.example.com")
    bench.transports.send(options("1"), there)
    bench.transports.send(options("2"), there._replace(server_name=""))
    await bench.until(lambda: far_end.read == options("1") + options("2"))
    assert asked == ["sip.example.com"], "who has no name to check takes the connection that was checked"
    await far_end.stop()


@pytest.mark.parametrize(
    ("names", "issuer", "expired", "told"),
    [
        (("other.example.com",), "ours", False, "its certificate is not for sip.example.com"),
        (("127.0.0.1",), "ours", False, "its certificate is not for sip.example.com"),
        (("sip.example.com",), "ours", True, "its certificate has expired"),
        (("sip.example.com",), "foreign", False, "unknown authority: name that one in sip.server_ca"),
    ],
)
async def test_a_server_that_cannot_be_believed_gets_nothing_and_the_reason_is_told(
    make: Make, papers: Papers, names: tuple[str, ...], issuer: str, expired: bool, told: str
) -> None:
    bench = caller(make, papers)
    ca = papers.other_ca if issuer == "foreign" else None
    far_end = await served(papers, papers.issue("s.pem", *names, ca=ca, expired=expired))
    there = Endpoint("TLS", "127.0.0.1", far_end.port, "sip.example.com")
    bench.transports.send(options(), there)
    assert told in await bench.failure()
    assert bench.failed[0][0] == there
    assert far_end.read == b""
    await far_end.stop()


async def test_without_a_name_the_certificate_must_be_for_the_address(make: Make, papers: Papers) -> None:
    bench = caller(make, papers)
    good = await served(papers, papers.issue("good.pem", "127.0.0.1"))
    bad = await served(papers, papers.issue("bad.pem", "sip.example.com"))
    for far_end in (good, bad):
        bench.transports.send(options(), Endpoint("TLS", "127.0.0.1", far_end.port))
    assert "its certificate is not for that name" in await bench.failure()
    await bench.until(lambda: good.read == options())
    assert bad.read == b""
    for far_end in (good, bad):
        await far_end.stop()


async def test_a_server_that_cannot_be_believed_gets_the_message_where_checks_are_switched_off(
    make: Make, papers: Papers
) -> None:
    bench = caller(make, papers, verify_servers=False)
    far_end = await served(papers, papers.issue("s.pem", "other.example.com", ca=papers.other_ca))
    bench.transports.send(options(), Endpoint("TLS", "127.0.0.1", far_end.port, "sip.example.com"))
    await bench.until(lambda: far_end.read == options())
    await far_end.stop()


async def test_a_server_that_demands_a_certificate_is_shown_ours(make: Make, papers: Papers) -> None:
    bench = caller(make, papers, certificate=papers.issue("client.pem", "us.example.com"))
    far_end = await served(papers, papers.issue("s.pem", "sip.example.com"), demand=True)
    bench.transports.send(options(), Endpoint("TLS", "127.0.0.1", far_end.port, "sip.example.com"))
    await bench.until(lambda: far_end.read == options())
    await far_end.stop()


async def test_where_we_have_no_certificate_for_a_server_that_demands_one_the_reason_is_told(
    make: Make, papers: Papers
) -> None:
    bench = caller(make, papers)
    far_end = await served(papers, papers.issue("s.pem", "sip.example.com"), demand=True)
    bench.transports.send(options(), Endpoint("TLS", "127.0.0.1", far_end.port, "sip.example.com"))
    assert "demand a client certificate: set sip.certificate" in await bench.failure()
    await far_end.stop()


async def test_a_server_that_speaks_no_tls_is_named_as_such(make: Make, papers: Papers) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await reader.read(1)
        writer.close()

    bench = caller(make, papers)
    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bench.transports.send(options(), Endpoint("TLS", "127.0.0.1", port, "sip.example.com"))
    assert "it does not speak TLS on that port" in await bench.failure()
    server.close()


async def test_a_server_that_leaves_the_handshake_hanging_is_given_up(make: Make, papers: Papers) -> None:
    bench = caller(make, papers, limits=StreamLimits(connect=0.3))
    far_end = await FarEnd().start()
    bench.transports.send(options(), Endpoint("TLS", "127.0.0.1", far_end.port, "sip.example.com"))
    assert "did not finish the TLS handshake in time" in await bench.failure()
    assert bench.transports.connections() == 0
    await far_end.stop()


@needs_openssl
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_as_the_server_reads_what_is_sent(
    make: Make, papers: Papers, launch: Callable[..., asyncio.Future[Process]], version: str
) -> None:
    bench = caller(make, papers)
    port = await _free_port()
    server = await launch(
        *("s_server", "-quiet", "-accept", f"127.0.0.1:{port}", version),
        *("-cert", papers.path(papers.issue("s.pem", "sip.example.com")), "-key", papers.path("s.pem")),
    )
    assert server.stdout is not None
    await _listens(port)
    bench.transports.send(options(), Endpoint("TLS", "127.0.0.1", port, "sip.example.com"))
    async with asyncio.timeout(WAIT):
        assert await server.stdout.readexactly(len(options())) == options()


async def _free_port() -> int:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    server.close()
    await server.wait_closed()
    return port


async def _listens(port: int) -> None:
    async with asyncio.timeout(WAIT):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


# ---------------------------------------------------------------- files


def test_a_certificate_that_cannot_be_used_stops_the_start_with_its_name(papers: Papers) -> None:
    papers.issue("a.pem")
    papers.issue("b.pem")
    (papers.directory / "empty.pem").write_text("")
    for files, told in (
        (TlsFiles(certificate=papers.directory / "none.pem"), "none.pem cannot be used: No such file"),
        (TlsFiles(certificate=papers.directory / "ca.pem"), "ca.pem cannot be used"),
        (
            TlsFiles(certificate=papers.directory / "a.pem", key=papers.directory / "b.pem"),
            "the key does not belong to the certificate",
        ),
        (TlsFiles(server_ca=papers.directory / "empty.pem"), "The CA file .*empty.pem cannot be used"),
    ):
        with pytest.raises(TlsError, match=told):
            TlsContexts(files, listens=True)
