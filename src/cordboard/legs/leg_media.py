"""The media of one leg: what was offered, answered and settled, and what its worker is told of it.

A description that is repeated word for word is answered with the same words: a refresh changes nothing.  An
offer of ours after the first is our last description again, so that each section keeps its place and each
payload type its meaning (RFC 3264 section 8), with its version raised where something has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cordboard.call.codec_wish import CodecWish
from cordboard.legs import codec_choice
from cordboard.legs.media_orders import set_remote
from cordboard.legs.outputs import MediaCommand, MediaOrder
from cordboard.legs.rules import LegRules
from cordboard.media.protocol import EndpointOpened, WatchSilence
from cordboard.sdp import (
    Codec,
    MediaDescription,
    MediaParameters,
    Ours,
    SessionDescription,
    VideoOffer,
    VideoParameters,
    answer_offer,
    make_offer,
    new_keys,
    parse,
    read_answer,
    serialise,
)
from cordboard.sdp.crypto import OFFERED
from cordboard.sdp.session import DIRECTIONS, Origin

MANDATORY, OPTIONAL, FORBIDDEN = "mandatory", "optional", "forbidden"
_DEFAULT_PTIME_MS = 20
_BOTH_WAYS = b"\r\na=sendrecv\r\n"
_HOLD = {"sendrecv": "sendonly", "recvonly": "inactive"}
_RESUME = dict.fromkeys(DIRECTIONS, "sendrecv")
"""A far end that holds us answers `sendonly` to that; one that does not any more can come back."""
COMMONEST = ("AES_CM_128_HMAC_SHA1_80",)
"""The suite that every implementation has (RFC 4568 section 6.2)."""


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """How one leg's media shall be."""

    codecs: tuple[CodecWish, ...] = ()
    """In order of preference; empty = what the server does without being asked."""
    encryption: str = FORBIDDEN
    two_media_lines: bool = False
    """`optional` as one SAVP and one AVP line."""
    dtmf: str = "auto"
    """auto, rfc4733, info or inband"""


class _Proposal(msgspec.Struct, frozen=True):
    """An offer of ours that holds the far end or takes it back, and that it has not answered yet."""

    hold: bool
    base: bytes
    """Our description that it changes."""
    body: bytes


class LegMedia:
    """Descriptions in, orders for the worker out."""

    __slots__ = (
        "_dialog_id",
        "_endpoint_id",
        "_info_seen",
        "_is_stale",
        "_offered",
        "_proposed",
        "_rules",
        "_their_offer",
        "_version",
        "_watched",
        "described",
        "held",
        "holding",
        "local",
        "may_show_video",
        "settled",
        "wishes",
    )

    def __init__(self, endpoint_id: str, dialog_id: int, rules: LegRules, wishes: Wishes) -> None:
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
        self._offered: tuple[bytes, SessionDescription] | None = None
        """An offer of ours as it reads, for it may be answered more than once: in a 183, and in the 200."""
        self._proposed: _Proposal | None = None
        self._is_stale = False
        """The far end has seen a later description of ours that does not stand."""
        self.holding = False
        """We hold the far end: it hears us, and what it says is not wanted."""
        self.held = False
        """The far end does not listen."""
        self.wishes = wishes
        self.described = b""
        """Our last description."""
        self.local: EndpointOpened | None = None
        self.settled: MediaParameters | None = None
        self.may_show_video = False
        """The far end has offered video; what it will be answered is not known before `settled`."""

    # ------------------------------------------------------------ offers

    def choose(self, other: MediaParameters | None) -> Ours:
        """The codecs to offer, the other leg's first."""
        return codec_choice.offered(self.wishes.codecs, self._rules.codecs, other.codec if other else None)

    def offer(
        self, ours: Ours, other: MediaParameters | None = None, *, suites: Sequence[str] = OFFERED
    ) -> bytes:
        """Our first offer to a far end: `other` is what the other leg has settled."""
        assert self.local is not None
        wishes = self.wishes
        secure = wishes.encryption != FORBIDDEN
        body = make_offer(
            address=self.local.address,
            port=self.local.port,
            codecs=ours.codecs,
            ptime_ms=ours.ptime_ms or _DEFAULT_PTIME_MS,
            session_id=self._dialog_id,
            version=self._version,
            crypto=new_keys(self._rules.new_key, suites) if secure else (),
            profile=self._profile(),
            video=self._video_offer(ours, other.video if other else None, suites),
        )
        return self._describe(body)

    def _profile(self) -> str:
        if self.wishes.encryption == MANDATORY:
            return "RTP/SAVP"
        both = self.wishes.encryption == OPTIONAL and self.wishes.two_media_lines
        return "both" if both else "RTP/AVP"

    def _video_offer(
        self, ours: Ours, other: VideoParameters | None, suites: Sequence[str]
    ) -> VideoOffer | None:
        """What the other leg sees, if it is wished for."""
        if other is None or self.local is None or not self.local.video_port:
            return None
        codecs = tuple(codec for codec in other.codecs if codec.name in ours.video)
        if not codecs:
            return None
        secure = self.wishes.encryption != FORBIDDEN
        return VideoOffer(
            port=self.local.video_port,
            codecs=codecs,
            feedback=other.feedback,
            crypto=new_keys(self._rules.new_key, suites) if secure else (),
        )

    def offer_again(self) -> bytes:
        """What holds already, as open as we would have it: a far end that holds can come back with it."""
        wanted = self._wanted
        return self._describe_again(dict.fromkeys(DIRECTIONS, wanted))

    def refresh(self) -> bytes:
        """What holds already."""
        return self._describe_again({})

    def _describe_again(self, turned: Mapping[str, str]) -> bytes:
        description = parse(self.described)
        changed = self._close_rejected(description)
        changed = _turn(description, turned) or changed
        if not (changed or self._is_outdated):
            return self.described
        description.origin = self._next_origin(description.origin)
        return self._describe(serialise(description))

    @property
    def _is_outdated(self) -> bool:
        """A version that the far end has seen is not to be followed by an earlier one, taken or not."""
        return self._is_stale or self._proposed is not None

    @property
    def _wanted(self) -> str:
        """The direction that we would have."""
        return "sendonly" if self.holding else "sendrecv"

    # ------------------------------------------------------------ hold

    def propose(self, hold: bool) -> bytes:
        """The offer that holds the far end, or takes it back (RFC 3264 section 8.4).

        The same again for a request that is repeated, unless the far end has changed the session meanwhile.
        """
        proposed = self._proposed
        if proposed is not None and proposed.hold is hold and proposed.base is self.described:
            return proposed.body
        description = parse(self.described)
        self._close_rejected(description)
        _turn(description, _HOLD if hold else _RESUME)
        description.origin = self._next_origin(description.origin)
        self._version += 1
        self._proposed = _Proposal(hold, self.described, serialise(description))
        return self._proposed.body

    def agree_to_proposal(self, body: bytes) -> None:
        """Take the far end's answer to it.  Raises SdpError, and then all is as it was before."""
        proposed = self._proposed
        assert proposed is not None
        # Whatever comes of it, the next description is newer than this one.
        self._proposed, self._is_stale = None, True
        self.read(proposed.body, body)
        self.described, self.holding, self._is_stale = proposed.body, proposed.hold, False

    def drop_proposal(self) -> None:
        """The far end has refused it."""
        self._proposed, self._is_stale = None, True

    def _close_rejected(self, description: SessionDescription) -> bool:
        """A section that the far end has rejected keeps its place, closed."""
        changed = False
        standing = self.settled.sections if self.settled is not None else ()
        for section, now in zip(description.media, standing, strict=False):
            if section.port and not now.active:
                section.port, changed = 0, True
        return changed

    # ------------------------------------------------------------ answers

    def answer(
        self,
        body: bytes,
        offer: SessionDescription | None = None,
        chosen: MediaDescription | None = None,
    ) -> bytes:
        """Answer an offer (`offer`: as it was parsed, `chosen`: its section that anybody could be answered
        with).  Raises SdpError, and then nothing has changed."""
        if body == self._their_offer and self.described and not self._is_outdated:
            return self.described
        assert self.local is not None
        offer = offer or parse(body)
        wishes = self.wishes
        answer = answer_offer(
            offer,
            address=self.local.address,
            port=self.local.port,
            codecs=codec_choice.answered(offer, wishes.codecs, self._rules.codecs),
            session_id=self._dialog_id,
            version=self._version,
            direction=self._wanted,
            encryption=wishes.encryption,
            new_key=self._rules.new_key,
            keep=self.settled,
            video=self._video_answer(),
            ptime_ms=codec_choice.packet_length(wishes.codecs) or _DEFAULT_PTIME_MS,
            # Whoever wishes for codecs may have to take another section.
            chosen=None if wishes.codecs else chosen,
        )
        self.settled = answer.media
        self.held = not self.settled.sending
        self._describe(answer.body)
        self._their_offer = body
        return answer.body

    def _video_answer(self) -> VideoOffer | None:
        wanted = codec_choice.wants_video(self.wishes.codecs, self._rules.codecs)
        if not wanted or self.local is None or not self.local.video_port:
            return None
        return VideoOffer(port=self.local.video_port, direction=self._wanted)

    def read(self, offer: bytes, body: bytes) -> None:
        """Take the far end's answer to an offer of ours.  Raises SdpError."""
        if self._offered is None or self._offered[0] is not offer:
            self._offered = (offer, parse(offer))
        self.settled = read_answer(self._offered[1], parse(body), encryption=self.wishes.encryption)
        self._their_offer = b""
        # Where we have not offered to listen, silence says nothing of whether they do: `inactive` is then the
        # answer of some who would listen.
        if self.settled.sending or _BOTH_WAYS in offer:
            self.held = not self.settled.sending

    def forget(self) -> None:
        """What was described so far was never sent."""
        self.described = self._their_offer = b""
        self._version = 1

    def _describe(self, body: bytes) -> bytes:
        self._version += 1
        self._their_offer = b""
        self._is_stale = False
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
    def dtmf_mode(self) -> str:
        """How keys go to the far end: rfc4733, info or inband."""
        if self.wishes.dtmf != "auto":
            return self.wishes.dtmf
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
        if self.settled is None:
            return []
        return [MediaOrder(command=set_remote(self._endpoint_id, self.settled, self.dtmf_mode))]

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


def _turn(description: SessionDescription, turned: Mapping[str, str]) -> bool:
    """Give all that is not closed another direction; whether that changes anything."""
    changed = False
    for section in description.media:
        before = description.direction_of(section)
        after = turned.get(before, before)
        if section.port and after != before:
            kept = [pair for pair in section.attributes if pair[0] not in DIRECTIONS]
            section.attributes, changed = [*kept, (after, "")], True
    return changed
