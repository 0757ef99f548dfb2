"""What was negotiated, as a worker is told it."""

from __future__ import annotations

from cordboard.media.protocol import Format, SetRemote, Srtp, SrtpKeys, VideoRemote
from cordboard.sdp import Codec, CryptoPair, MediaParameters, VideoParameters


def set_remote(endpoint_id: str, media: MediaParameters, dtmf_mode: str) -> SetRemote:
    """The command for the worker of this endpoint."""
    codec = media.codec
    return SetRemote(
        endpoint_id=endpoint_id,
        address=media.address,
        port=media.port,
        rtcp_port=media.rtcp_port,
        send=Format(
            name=codec.name,
            payload_type=codec.payload_type,
            clock_rate=codec.clock_rate,
            ptime_ms=media.ptime_ms,
            channels=codec.channels,
            audio_rate=media.audio_rate,
            bit_rate=media.bit_rate,
        ),
        accepted=media.accepted,
        receive=_formats(media.formats),
        dtmf_send_type=media.dtmf_send_type,
        dtmf_receive_type=media.dtmf_receive_type,
        dtmf_clock_rate=media.dtmf_clock_rate,
        dtmf_mode=dtmf_mode,
        srtp=_srtp(media.crypto),
        video=None if media.video is None else _video(media.video),
        sending=media.sending,
        receiving=media.receiving,
    )


def _formats(codecs: tuple[Codec, ...]) -> tuple[Format, ...]:
    """Left out where all are telephone quality, which is what a worker takes for granted."""
    for codec in codecs:
        if codec.clock_rate != 8000 or codec.channels != 1:
            break
    else:
        return ()
    return tuple(
        Format(
            name=codec.name,
            payload_type=codec.payload_type,
            clock_rate=codec.clock_rate,
            channels=codec.channels,
        )
        for codec in codecs
    )


def _srtp(pair: CryptoPair | None) -> Srtp | None:
    if pair is None:
        return None
    return Srtp(
        send=SrtpKeys(suite=pair.send.suite, key=pair.send.key),
        receive=SrtpKeys(suite=pair.receive.suite, key=pair.receive.key),
    )


def _video(video: VideoParameters) -> VideoRemote:
    return VideoRemote(
        port=video.port,
        rtcp_port=video.rtcp_port,
        accepted=video.accepted,
        send=video.send,
        address=video.address,
        sending=video.sending,
        receiving=video.receiving,
        srtp=_srtp(video.crypto),
    )
