"""The media of one leg: what was offered, answered and settled, and what its worker is told of it.

A description that is repeated word for word is answered with the same words: a refresh changes nothing.  An
offer of ours after the first is our last description again, so that each section keeps its place (RFC 3264
section 8), with its version raised where something has changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from cordboard.legs.outputs import MediaCommand, MediaOrder
from cordboard.legs.rules import LegRules
from cordboard.media.protocol import EndpointOpened, Format, SetRemote, WatchSilence
from cordboard.sdp import (
    PCMA,
    PCMU,
    Codec,
    MediaParameters,
    SessionDescription,
    answer_offer,
    make_offer,
    parse,
    read_answer,
    serialise,
)
from cordboard.sdp.session import DIRECTIONS, MediaDescription, Origin

OUR_CODECS = (PCMU, PCMA)


class LegMedia:
    """Descriptions in, orders for the worker out."""

    __slots__ = (
        "_dialog_id",
        "_endpoint_id",
        "_info_seen",
        "_rules",
        "_their_offer",
        "_version",
        "_watched",
        "described",
        "dtmf_wish",
        "local",
        "settled",
    )

    def __init__(self, endpoint_id: str, dialog_id: int, rules: LegRules) -> None:
        """`dialog_id`: the `sess-id` of our descriptions."""
        self._endpoint_id = endpoint_id
        self._dialog_id = dialog_id
        self._rules = rules
        self._version = 1
        """Of the next description (RFC 3264 section 8)."""
        self._their_offer = b""
        """The last one that was answered; empty if the last offer was ours."""
        self._info_seen = False
        self._watched = False
        self.described = b""
        """Our last description."""
        self.dtmf_wish = "auto"
        """What the trunk says: auto, rfc4733, info or inband."""
        self.local: EndpointOpened | None = None
        self.settled: MediaParameters | None = None

    # ------------------------------------------------------------ offers and answers

    def offer(self, codecs: Sequence[Codec] = OUR_CODECS) -> bytes:
        """Our first offer to a far end."""
        assert self.local is not None
        body = make_offer(
            address=self.local.address,
            port=self.local.port,
            codecs=codecs,
            session_id=self._dialog_id,
            version=self._version,
        )
        return self._describe(body)

    def offer_again(self) -> bytes:
        """What holds already, open in both directions; a far end that holds can come back with it."""
        description = parse(self.described)
        before = [[*section.attributes] for section in description.media]
        for section in description.media:
            _open(section)
        if before == [section.attributes for section in description.media]:
            return self.described
        description.origin = self._next_origin(description.origin)
        return self._describe(serialise(description))

    def answer(self, body: bytes) -> bytes:
        """Answer an offer.  Raises SdpError, and then nothing has changed."""
        if body == self._their_offer and self.described:
            return self.described
        assert self.local is not None
        offer = parse(body)
        answer = answer_offer(
            offer,
            address=self.local.address,
            port=self.local.port,
            codecs=offered_first(offer),
            session_id=self._dialog_id,
            version=self._version,
        )
        self.settled = answer.media
        self._describe(answer.body)
        self._their_offer = body
        return answer.body

    def read(self, offer: bytes, body: bytes) -> None:
        """Take the far end's answer to an offer of ours.  Raises SdpError."""
        self.settled = read_answer(offer, parse(body))
        self._their_offer = b""

    def _describe(self, body: bytes) -> bytes:
        self._version += 1
        self._their_offer = b""
        self.described = body
        return body

    def _next_origin(self, origin: Origin | None) -> Origin | None:
        if origin is None:
            return None
        return Origin(origin.username, origin.session_id, str(self._version), origin.address)

    # ------------------------------------------------------------ what it means

    @property
    def codec(self) -> Codec | None:
        """What we send."""
        return None if self.settled is None else self.settled.codec

    @property
    def held(self) -> bool:
        """The far end does not listen."""
        return self.settled is not None and not self.settled.sending

    @property
    def dtmf_mode(self) -> str:
        """How keys go to the far end: rfc4733, info or inband."""
        if self.dtmf_wish != "auto":
            return self.dtmf_wish
        if self.settled is not None and self.settled.dtmf_send_type is not None:
            return "rfc4733"
        return "info" if self._info_seen else "inband"

    def digit_by_info(self) -> bool:
        """The far end sends keys by INFO; whether that changes how keys go to it."""
        before = self.dtmf_mode
        self._info_seen = True
        return self.dtmf_mode != before

    # ------------------------------------------------------------ what the worker is told

    def remote(self) -> list[MediaOrder | MediaCommand]:
        """What was negotiated."""
        media = self.settled
        if media is None:
            return []
        codec = media.codec
        command = SetRemote(
            endpoint_id=self._endpoint_id,
            address=media.address,
            port=media.port,
            rtcp_port=media.rtcp_port,
            send=Format(
                name=codec.name,
                payload_type=codec.payload_type,
                clock_rate=codec.clock_rate,
                ptime_ms=media.ptime_ms,
            ),
            accepted=media.accepted,
            dtmf_send_type=media.dtmf_send_type,
            dtmf_receive_type=media.dtmf_receive_type,
            dtmf_mode=self.dtmf_mode,
            sending=media.sending,
            receiving=media.receiving,
        )
        return [MediaOrder(command=command)]

    def watch(self, answered: bool) -> list[MediaOrder | MediaCommand]:
        """Silence is watched for while both ends talk, and not while one holds the other."""
        if not self._rules.rtp_timeout:
            return []
        media = self.settled
        wanted = answered and media is not None and media.sending and media.receiving
        if wanted is self._watched:
            return []
        self._watched = wanted
        seconds = self._rules.rtp_timeout if wanted else 0.0
        return [MediaCommand(command=WatchSilence(endpoint_id=self._endpoint_id, seconds=seconds))]


def _open(section: MediaDescription) -> None:
    if section.port:
        kept = [pair for pair in section.attributes if pair[0] not in DIRECTIONS]
        section.attributes = [*kept, ("sendrecv", "")]


def preferred_first(codec: Codec | None) -> tuple[Codec, ...]:
    """Our codecs, with the one the other leg already speaks in front: no transcoding where avoidable."""
    if codec is None:
        return OUR_CODECS
    return tuple(sorted(OUR_CODECS, key=lambda ours: ours.name != codec.name))


def offered_first(offer: SessionDescription) -> tuple[Codec, ...]:
    """Our codecs in the caller's order of preference."""
    rank = {codec.name: n for section in offer.media for n, codec in enumerate(section.codecs())}
    return tuple(sorted(OUR_CODECS, key=lambda ours: rank.get(ours.name, len(rank))))
