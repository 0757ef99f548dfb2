"""What two sides have agreed on, seen from ours."""

from __future__ import annotations

import msgspec

from cordboard.sdp.codec import Codec
from cordboard.sdp.crypto import CryptoAttribute, CryptoPair
from cordboard.sdp.session import SdpError

SENDING = ("sendrecv", "sendonly")
RECEIVING = ("sendrecv", "recvonly")


class NoCommonCodec(SdpError):  # noqa: N818 - an outcome of a negotiation, named for what happened
    """No section of the offer (or answer) can be used; the text says why.  A caller deserves a 488."""


class NoCommonSecurity(NoCommonCodec):
    """The codecs may be fine, but one side wants encryption that the other does not."""


class Section(msgspec.Struct, frozen=True):
    """One m-line of a session.  It keeps its place in all later descriptions (RFC 3264 section 8)."""

    kind: str
    protocol: str
    formats: tuple[str, ...]
    active: bool
    """False = rejected or switched off."""


class VideoOffer(msgspec.Struct, frozen=True, kw_only=True):
    """Video as we would have it: our port, and what the other leg can take."""

    port: int
    codecs: tuple[Codec, ...] = ()
    """With the other leg's payload types and parameters; in an answer empty = whatever is offered."""
    feedback: tuple[str, ...] = ()
    """RTCP feedback that the other leg knows (RFC 4585), as `nack pli`; in an answer empty = as offered."""
    direction: str = "sendrecv"
    crypto: tuple[CryptoAttribute, ...] = ()
    """Keys of an offer, other than those of the audio."""


class VideoParameters(msgspec.Struct, frozen=True, kw_only=True):
    """A video stream that is passed on as it is."""

    address: str
    port: int
    rtcp_port: int
    codecs: tuple[Codec, ...]
    """In common, under the far end's payload types and with its parameters."""
    accepted: tuple[tuple[int, str], ...]
    """(payload type, `video_section.label`) of what may arrive."""
    send: tuple[tuple[int, str], ...] = ()
    """The same of what the far end takes."""
    feedback: tuple[str, ...] = ()
    direction: str = "sendrecv"
    crypto: CryptoPair | None = None

    @property
    def sending(self) -> bool:
        """We may send."""
        return self.direction in SENDING

    @property
    def receiving(self) -> bool:
        """Something may arrive."""
        return self.direction in RECEIVING


class MediaParameters(msgspec.Struct, frozen=True, kw_only=True):
    """The audio stream, and the video beside it."""

    address: str
    """Where the far end wants its packets."""
    port: int
    rtcp_port: int
    """0 = none."""
    codec: Codec
    """What we send, under the far end's payload type."""
    accepted: tuple[tuple[int, str], ...]
    """(payload type, codec name) of all speech that may arrive."""
    formats: tuple[Codec, ...] = ()
    """The same with clock rates and channels."""
    events: tuple[Codec, ...] = ()
    """Telephone events that may arrive; there may be one for each clock rate."""
    ptime_ms: int
    """Length of the packets that we send, one of `PTIMES_MS`."""
    audio_rate: int = 0
    """At what rate OPUS is encoded; 0 = any."""
    bit_rate: int = 0
    """Of OPUS in bits a second; 0 = the encoder's choice."""
    dtmf_send_type: int | None = None
    dtmf_receive_type: int | None = None
    dtmf_clock_rate: int = 8000
    """Of both."""
    direction: str = "sendrecv"
    """Ours: `sendonly` = we send and they listen."""
    crypto: CryptoPair | None = None
    """None = the stream is plain."""
    video: VideoParameters | None = None
    sections: tuple[Section, ...] = ()
    """All m-lines as they stand now; the next offer takes them (`make_offer`)."""

    @property
    def sending(self) -> bool:
        """We may send."""
        return self.direction in SENDING

    @property
    def receiving(self) -> bool:
        """Something may arrive."""
        return self.direction in RECEIVING


class Answer(msgspec.Struct, frozen=True):
    """The description to send back, and what it settles."""

    body: bytes
    media: MediaParameters
