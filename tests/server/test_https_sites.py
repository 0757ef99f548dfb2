"""Documents, audio and the requests of scripts over https: who is believed, and what is said if not."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from cordboard.media.recording_file import header

WAV = header(64, 1) + b"\x01" * 64
DOCUMENT = b"sections: {main: [answer]}"

# The authorities that are believed are read when a process starts.
PROGRAM = """
import asyncio, json, sys
from pathlib import Path

from cordboard.call.actions import CallInfo, DocumentFailed, FetchDocument, SendRequest
from cordboard.server.audio_fetcher import AudioFetcher
from cordboard.server.fetcher import DocumentFetcher
from cordboard.server.outbound_policy import OutboundPolicy

INFO = CallInfo(
    call_id="c", node_id="n", segment_id="s", project_id="p", space_id="sp", session_id="x",
    call_state="created", direction="inbound", type="sip", from_="sip:a@h", to="sip:b@h",
)

async def main(base, cache):
    policy = OutboundPolicy(allow_private=True)
    documents, audio = DocumentFetcher(policy, signing_key="k"), AudioFetcher(policy, cache, None)
    try:
        document = await documents.fetch(FetchDocument(url=base + "/doc", params={}, vars={}), INFO, {})
        answer = await documents.requester.send(SendRequest(url=base + "/doc", method="GET"))
        sound = await audio.fetch(base + "/a.wav")
        print(json.dumps({
            "document": document.sentence if isinstance(document, DocumentFailed) else document.body.decode(),
            "request": answer.sentence or answer.body.decode(),
            "audio": sound.sentence if sound.path is None else Path(sound.path).read_bytes().hex(),
        }))
    finally:
        await audio.close()
        await documents.close()

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""


async def answer(request: web.Request) -> web.Response:
    return web.Response(body=WAV if request.path == "/a.wav" else DOCUMENT)


@asynccontextmanager
async def site(authority: trustme.CA, name: str) -> AsyncIterator[int]:
    """Serves https with a certificate for that name; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    app = web.Application()
    app.router.add_route("*", "/{name:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def found(port: int, directory: Path, believed: trustme.CA) -> dict[str, str]:
    """What a process gets from there, or the sentences of its failures."""
    authorities = directory / "ca.pem"
    believed.cert_pem.write_to_path(authorities)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        f"https://127.0.0.1:{port}",
        str(directory / "cache"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "SSL_CERT_FILE": str(authorities)},
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    told: dict[str, str] = json.loads(output)
    return told


async def test_whoever_has_a_certificate_of_a_known_authority_is_believed(tmp_path: Path) -> None:
    authority = trustme.CA()
    async with site(authority, "127.0.0.1") as port:
        told = await found(port, tmp_path, authority)
    assert told["document"] == told["request"] == DOCUMENT.decode()
    assert bytes.fromhex(told["audio"]) == WAV


WRONG = {
    "authority": ": its certificate comes from an unknown authority",
    "name": ": its certificate is not for that name",
}


@pytest.mark.parametrize("fault", list(WRONG))
async def test_anybody_else_is_not_and_each_failure_says_so(tmp_path: Path, fault: str) -> None:
    known, unknown = trustme.CA(), trustme.CA()
    shown, name = (unknown, "127.0.0.1") if fault == "authority" else (known, "elsewhere.test")
    async with site(shown, name) as port:
        told = await found(port, tmp_path, known)
    for sentence in told.values():
        assert sentence.startswith(f"https://127.0.0.1:{port}/")
        assert WRONG[fault] in sentence
