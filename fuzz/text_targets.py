"""Documents, expressions, and the small languages inside properties."""

from __future__ import annotations

from collections.abc import Iterator

from cordboard.call.actions import CallInfo
from cordboard.call.addresses import classify, is_caller
from cordboard.call.codec_wish import read_codecs
from cordboard.events.bodies import bare_address
from cordboard.server.sip_log import SipLog, decode
from cordboard.sip.endpoint import Endpoint
from cordboard.swml.document import DocumentError, load
from cordboard.swml.expressions import compile_text, split, unclosed
from cordboard.swml.script import Script
from cordboard.webhooks.target import shown

_FAR = Endpoint("UDP", "192.0.2.1", 5060)


def document(data: bytes) -> None:
    """A document is loaded and started, or refused with its line."""
    try:
        loaded = load(data, source="fuzz.yaml")
    except DocumentError as error:
        str(error)
        return
    script = Script(loaded, _info())
    script.start()
    script.variables()


def expression(data: bytes) -> None:
    """Placeholders are found in any text."""
    text = data.decode("utf-8", "replace")
    split(text)
    unclosed(text)
    compile_text(text)


def words(data: bytes) -> None:
    """Destinations, codecs, URLs and messages, as they stand in properties and logs."""
    text = data.decode("utf-8", "replace")
    classify(text)
    is_caller(text)
    read_codecs(text)
    bare_address(text)
    shown(text)
    saved: list[bytes] = []
    log = SipLog(lambda number, ladder: saved.append(ladder), lambda: 0.0)
    log.begin("a", "abc", 1)
    log.note(True, b"OPTIONS sip:a SIP/2.0\r\nCall-ID: abc\r\n" + data, _FAR)
    log.note(False, data, _FAR)
    log.over("a")
    log.sweep(everything=True)
    assert decode(saved[0])
    decode(data)


def expression_seeds() -> Iterator[bytes]:
    """What documents write."""
    yield b"${vars.a} and %{call.to.replace(/^sip:/i, '')} `${x}`"
    yield b"${a['b-c'][0].d} ${ (items.length) } ${'}'}"


def word_seeds() -> Iterator[bytes]:
    """What properties hold."""
    yield b"sip:alice@example.com;transport=tls?X-A=b"
    yield b"OPUS@16000H@20I,PCMU, g722@8k"
    yield b"+15551234567"
    yield b"https://user:pass@example.com:8080/a?b#ot=1"


def _info() -> CallInfo:
    return CallInfo(
        call_id="c",
        node_id="n",
        segment_id="s",
        project_id="p",
        space_id="s",
        session_id="s",
        call_state="created",
        direction="inbound",
        type="sip",
        from_="sip:a@example.com",
        to="sip:b@example.com",
    )
