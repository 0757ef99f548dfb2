"""Messages cut out of a stream of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media.channel import ChannelError, command_reader, event_reader, frame
from cordboard.media.protocol import (
    MAX_MESSAGE,
    Command,
    DigitHeard,
    JoinEndpoints,
    OpenEndpoint,
    PlaySource,
    StartPlay,
)

COMMANDS: list[Command] = [
    OpenEndpoint(endpoint_id="a"),
    JoinEndpoints(a="a", b="b"),
    StartPlay(endpoint_id="a", play_id="p", sources=(PlaySource(kind="ring", country="de"),), loop=0),
]


@settings(max_examples=60)
@given(st.lists(st.integers(1, 60), max_size=10))
def test_however_the_stream_is_cut_the_messages_are_the_same(cuts: list[int]) -> None:
    stream = b"".join(frame(command) for command in COMMANDS)
    reader = command_reader()
    heard = []
    for cut in cuts:
        piece, stream = stream[:cut], stream[cut:]
        heard += list(reader.feed(piece))
    assert heard + list(reader.feed(stream)) == COMMANDS


def test_a_message_beyond_the_limit_ends_the_channel() -> None:
    with pytest.raises(ChannelError):
        list(command_reader().feed((MAX_MESSAGE + 1).to_bytes(4, "big")))


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x81\xa4type\xa4Nope", b"\x93\x01\x02\x03"])
def test_nonsense_ends_the_channel_after_what_was_good(body: bytes) -> None:
    good = DigitHeard(endpoint_id="a", digit="1", duration_ms=100)
    messages = event_reader().feed(frame(good) + len(body).to_bytes(4, "big") + body)
    assert next(messages) == good
    with pytest.raises(ChannelError):
        next(messages)
