"""The offer/answer model for one audio stream (RFC 3264), with telephone-event (RFC 4733).

Of an offer the first audio section over RTP/AVP that can be used is taken; every other section keeps its
place in the answer with port 0.  Payload types of an offer stay as they are in the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from cordboard.sdp.address import classify_address, connection, same_family
from cordboard.sdp.codec import TELEPHONE_EVENT, Codec, rtpmap
from cordboard.sdp.session import MediaDescription, SdpError, SessionDescription, parse

DEFAULT_PTIME_MS = 20
PTIMES_MS = (10, 20, 30, 40, 50, 60)
DTMF_PAYLOAD_TYPE = 101

# No RTP receiver lives below; a description that says so wants our packets to hit some other service.
_LOWEST_PORT = 1024
_PROTOCOL = "RTP/AVP"
_SENDING = ("sendrecv", "sendonly")
_RECEIVING = ("sendrecv", "recvonly")
_DIRECTION = {
    (True, True): "sendrecv",
    (True, False): "sendonly",
    (False, True): "recvonly",
    (False, False): "inactive",
}


class NoCommonCodec(SdpError):  # noqa: N818 - an outcome of a negotiation, named for what happened
    """No section of the offer (or answer) can be used; the text says why.  A caller deserves a 488."""


class MediaParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What both sides agreed on, seen from ours."""

    address: str
    """Where the far end wants its packets."""
    port: int
    rtcp_port: int
    """0 = none."""
    codec: Codec
    """What we send, under the far end's payload type."""
    accepted: tuple[tuple[int, str], ...]
    """(payload type, codec name) of all speech that may arrive."""
    ptime_ms: int
    """Length of the packets that we send, one of `PTIMES_MS`."""
    dtmf_send_type: int | None = None
    dtmf_receive_type: int | None = None
    direction: str = "sendrecv"
    """Ours: `sendonly` = we send and they listen."""

    @property
    def sending(self) -> bool:
        """We may send."""
        return self.direction in _SENDING

    @property
    def receiving(self) -> bool:
        """Something may arrive."""
        return self.direction in _RECEIVING


class Answer(msgspec.Struct, frozen=True):
    """The description to send back, and what it settles."""

    body: bytes
    media: MediaParameters


def make_offer(
    *,
    address: str,
    port: int,
    codecs: Sequence[Codec],
    dtmf: bool = True,
    ptime_ms: int = DEFAULT_PTIME_MS,
    direction: str = "sendrecv",
    session_id: int,
    version: int = 1,
) -> bytes:
    """Offer one audio stream.  A later one on the same leg keeps `session_id` and raises `version`."""
    formats = tuple(codecs)
    dtmf_type = _free_type(formats) if dtmf else None
    head = _head(address, session_id, version, "0 0")
    return f"{head}m=audio {port} {_audio(formats, dtmf_type, ptime_ms, direction)}".encode()


def check_offer(offer: SessionDescription, *, address: str, codecs: Sequence[Codec]) -> None:
    """Raises `NoCommonCodec` for an offer that `answer_offer` could not answer."""
    _choose(offer, codecs, address)


def answer_offer(
    offer: SessionDescription,
    *,
    address: str,
    port: int,
    codecs: Sequence[Codec],
    session_id: int,
    version: int = 1,
    direction: str = "sendrecv",
) -> Answer:
    """Answer with all codecs in common, in the order of `codecs`; the first is what we send.

    `direction` is what we want; the answer has what the offer leaves of it.  Raises `NoCommonCodec`.
    """
    chosen, common = _choose(offer, codecs, address)
    accepted = tuple([(codec.payload_type, codec.name) for codec in common])
    media = _parameters(offer, chosen, common, direction, accepted, _dtmf_type(chosen.codecs()))
    audio = _audio(tuple(common), media.dtmf_receive_type, media.ptime_ms, media.direction)
    parts = [_head(address, session_id, version, offer.timing)]
    for section in offer.media:
        parts.append(f"m=audio {port} {audio}" if section is chosen else _rejected(section))
    return Answer("".join(parts).encode("ascii"), media)


def read_answer(offer_sent: bytes | SessionDescription, answer: SessionDescription) -> MediaParameters:
    """What an answer to our offer settles.  Raises `SdpError`, or `NoCommonCodec` when it rejects the stream.

    A peer that answers with other payload types than ours gets its own, and may send under either.
    """
    offer = parse(offer_sent) if isinstance(offer_sent, bytes) else offer_sent
    index = next((n for n, section in enumerate(offer.media) if section.port), None)
    if index is None or index >= len(answer.media):
        raise SdpError("the answer has no section for the stream that was offered")
    ours, theirs = offer.media[index], answer.media[index]
    offered = ours.codecs()
    speech = [codec for codec in offered if codec.name != TELEPHONE_EVENT]
    problem = _problem(answer, theirs, offer.address_of(ours) or "")
    # The far end's order decides here: its first format is what it likes best.
    spoken = {codec.format for codec in speech}
    common = [codec for codec in theirs.codecs() if codec.format in spoken]
    if problem or not common:
        raise NoCommonCodec(problem or _nothing_in_common(theirs))
    dtmf_type = _dtmf_type(offered)
    accepted = _either(speech, common, taken=dtmf_type)
    return _parameters(answer, theirs, common, offer.direction_of(ours), accepted, dtmf_type)


def _choose(
    offer: SessionDescription, codecs: Sequence[Codec], address: str
) -> tuple[MediaDescription, list[Codec]]:
    problems: list[str] = []
    for section in offer.media:
        problem = _problem(offer, section, address)
        common = [] if problem else _common(section.codecs(), codecs)
        if common:
            return section, common
        problems.append(problem or _nothing_in_common(section))
    raise NoCommonCodec("; ".join(problems[:4]) or "the description has no media")


def _problem(session: SessionDescription, section: MediaDescription, our_address: str) -> str | None:
    """Why a section cannot be used, or None."""
    if section.kind != "audio":
        return f"{section.kind} is not supported"
    if section.port == 0:
        return "the audio is rejected (port 0)"
    if section.protocol != _PROTOCOL:
        return f"the audio is offered over {section.protocol}, only {_PROTOCOL} is supported"
    if section.port < _LOWEST_PORT:
        return f"port {section.port} is no port for media"
    return _address_problem(session.address_of(section), our_address)


def _address_problem(address: str | None, our_address: str) -> str | None:
    if not address:
        return "there is no address for the audio"
    kind = classify_address(address)
    if kind == "unspecified":
        return None
    if kind != "unicast":
        return f"the address of the audio is of the kind {kind}"
    return (
        None if same_family(address, our_address) else "the address of the audio is of the other IP version"
    )


def _nothing_in_common(section: MediaDescription) -> str:
    names = ", ".join(codec.name[:32] for codec in section.codecs()[:8])
    return f"no common codec (they have: {names or 'none that is named'})"


def _common(offered: list[Codec], ours: Sequence[Codec]) -> list[Codec]:
    common: list[Codec] = []
    for mine in ours:
        for codec in offered:
            if codec.same_format(mine):
                common.append(codec)
                break
    return common


def _parameters(
    session: SessionDescription,
    section: MediaDescription,
    common: list[Codec],
    wanted: str,
    accepted: tuple[tuple[int, str], ...],
    dtmf_receive_type: int | None,
) -> MediaParameters:
    address = session.address_of(section) or ""
    # Neither RTP nor RTCP goes to a far end that holds with the zero address (RFC 3264 section 8.4).
    reachable = classify_address(address) != "unspecified"
    dtmf_type = _dtmf_type(section.codecs())
    return MediaParameters(
        address=address,
        port=section.port,
        rtcp_port=_rtcp_port(section) if reachable else 0,
        codec=common[0],
        accepted=accepted,
        ptime_ms=_ptime(section),
        dtmf_send_type=dtmf_type,
        dtmf_receive_type=None if dtmf_type is None else dtmf_receive_type,
        direction=_settle(wanted, session.direction_of(section), reachable),
    )


def _settle(wanted: str, theirs: str, reachable: bool) -> str:
    sends = wanted in _SENDING and theirs in _RECEIVING and reachable
    return _DIRECTION[sends, wanted in _RECEIVING and theirs in _SENDING]


def _dtmf_type(codecs: list[Codec]) -> int | None:
    # Only the clock rate of the speech: events at 48,000 Hz belong to Opus.
    for codec in codecs:
        if codec.name == TELEPHONE_EVENT and codec.clock_rate == 8000:
            return codec.payload_type
    return None


def _either(ours: list[Codec], theirs: list[Codec], *, taken: int | None) -> tuple[tuple[int, str], ...]:
    """What may arrive: all that we offered, and the peer's own numbers where ours leave them free."""
    types = {codec.payload_type: codec.name for codec in ours}
    for codec in theirs:
        if codec.payload_type != taken:
            types.setdefault(codec.payload_type, codec.name)
    return tuple(types.items())


def _ptime(section: MediaDescription) -> int:
    wish = _milliseconds(section.attribute("ptime")) or DEFAULT_PTIME_MS
    most = _milliseconds(section.attribute("maxptime"))
    if most is not None and most < wish:
        wish = most
    return min(max(wish // 10 * 10, PTIMES_MS[0]), PTIMES_MS[-1])


def _milliseconds(text: str | None) -> int | None:
    """A ptime value; None when missing, malformed or beyond reason.  Some phones write `20.0`."""
    if text is None:
        return None
    whole = text.strip().partition(".")[0]
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 4):
        return None
    return int(whole) or None


def _rtcp_port(section: MediaDescription) -> int:
    """RFC 3605, else the next port."""
    text = (section.attribute("rtcp") or "").partition(" ")[0]
    port = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else section.port + 1
    return port if _LOWEST_PORT <= port <= 65_535 else 0


def _free_type(codecs: tuple[Codec, ...]) -> int:
    used = {codec.payload_type for codec in codecs}
    return min(set(range(96, 128)) - used) if DTMF_PAYLOAD_TYPE in used else DTMF_PAYLOAD_TYPE


def _head(address: str, session_id: int, version: int, timing: str) -> str:
    where = connection(address)
    return f"v=0\r\no=- {session_id} {version} {where}\r\ns=-\r\nc={where}\r\nt={timing}\r\n"


@lru_cache(maxsize=256)
def _audio(codecs: tuple[Codec, ...], dtmf_type: int | None, ptime_ms: int, direction: str) -> str:
    """An audio section from its protocol on; the same few come again and again."""
    formats = [*codecs]
    if dtmf_type is not None:
        formats.append(Codec(TELEPHONE_EVENT, dtmf_type))
    lines = [" ".join([_PROTOCOL, *(str(codec.payload_type) for codec in formats)])]
    lines += [f"a=rtpmap:{rtpmap(codec)}" for codec in formats]
    if dtmf_type is not None:
        lines.append(f"a=fmtp:{dtmf_type} 0-15")
    return "\r\n".join([*lines, f"a=ptime:{ptime_ms}", f"a={direction}", ""])


def _rejected(section: MediaDescription) -> str:
    return f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}\r\n"
