"""What a `SetRemote` says about formats, in the words of the packets' way through the worker."""

from __future__ import annotations

from cordboard.media.codecs.catalogue import codec, encoding_of
from cordboard.media.codecs.codec import Wish
from cordboard.media.outgoing import EVENT, Speech
from cordboard.media.protocol import Format, SetRemote


def speech_of(command: SetRemote) -> Speech:
    """What the far end wants to hear.  Who was offered no telephone events hears tones."""
    send = command.send
    mode = command.dtmf_mode
    if mode == "rfc4733" and command.dtmf_send_type is None:
        mode = "inband"
    return Speech(
        codec=codec(_encoding(send), send.clock_rate),
        payload_type=send.payload_type,
        # Within what the tick and a datagram can do.
        ptime_ms=min(max(send.ptime_ms, 10), 200),
        max_rate=send.audio_rate,
        wish=Wish(bit_rate=send.bit_rate),
        event_type=command.dtmf_send_type,
        event_clock=command.dtmf_clock_rate,
        digits=mode,
    )


def types_of(command: SetRemote) -> dict[int, str]:
    """Encoding by payload type of all that may arrive."""
    send = command.send
    types = {
        kind: _encoding(send) if name.upper() == send.name.upper() else encoding_of(name)
        for kind, name in command.accepted
    }
    types |= {format_.payload_type: _encoding(format_) for format_ in command.receive}
    types.setdefault(send.payload_type, _encoding(send))
    if command.dtmf_receive_type is not None:
        types[command.dtmf_receive_type] = EVENT
    return types


def _encoding(format_: Format) -> str:
    return encoding_of(format_.name, format_.clock_rate, format_.channels)
