"""Plays over what a joined far end says: both are heard, and the stream has no seam, in virtual time."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

import pytest

from cordboard.media.clock import Clock
from cordboard.media.codecs import audio, g711
from cordboard.media.codecs.catalogue import codec as codec_of
from cordboard.media.codecs.codec import Wish
from cordboard.media.codecs.rates import RateConverter
from cordboard.media.hearing import Hearings
from cordboard.media.mixing import MOST_PLAYS
from cordboard.media.outgoing import Outgoing, Speech
from cordboard.media.player import Player, tone
from cordboard.media.playout import Playout
from cordboard.media.protocol import DigitsPlayed, PlayEnded, SendDigits, StartPlay
from cordboard.media.relay import Incoming
from cordboard.media.rtp import RtpSender
from cordboard.media.speaker import Speaker
from cordboard.media.tones import SILENT_FRAME, heard, level, read_tone, tone_frames

VOICE, PLAYED, OTHER = 500.0, 1200.0, 2000.0


class Bridge:
    """A far end that speaks, one that listens, and all that a worker's tick does for them."""

    def __init__(self, source: str = "PCMU", sink: str = "PCMU", ptime_ms: int = 20) -> None:
        self.clock = Clock(100.0)
        self.hearings: Hearings = {}
        self.ticking: set[Incoming] = set()
        self.told: list[PlayEnded | DigitsPlayed] = []
        self.source, self.sink = codec_of(source), codec_of(sink)
        self.incoming = Incoming(self.clock, ticking=self.ticking, hearings=self.hearings)
        self.incoming.expect({96: source, 101: "telephone-event"})
        self.outgoing = Outgoing(RtpSender(ssrc=9, sequence=65_500, timestamp=0xFFFFF000), self.clock)
        self.outgoing.speak(Speech(self.sink, 97, ptime_ms, event_type=101))
        self.speaker = Speaker("leg", self.outgoing, self.told.append)
        self.speaker.is_open = True
        self.sent: list[bytes] = []
        self.outgoing.send_by(lambda data: self.sent.append(bytes(data)))
        self.incoming.feed(self.outgoing)
        self.voice = list(tone_frames((VOICE,), 60_000, level=-20.0))
        encode = self.source.make_encoder
        self.encoder = encode(self.source.rates[0], Wish()) if encode is not None else None
        self.converter = RateConverter(8000, self.encoder.rate if self.encoder is not None else 8000)
        self.sequence, self.timestamp = 700, 80_000
        self._datagram = b""
        self.incoming.receive = self._receive

    def _receive(self, buffer: bytearray) -> int:
        buffer[: len(self._datagram)] = self._datagram
        return len(self._datagram)

    def packet(self) -> bytes:
        """The next of the far end that speaks."""
        assert self.encoder is not None
        voice = self.voice[self.sequence - 700]
        if self.encoder.rate != 8000:
            voice = self.converter.convert(voice)
        payload = self.encoder.encode(voice)
        data = struct.pack("!BBHII", 0x80, 96, self.sequence, self.timestamp, 5) + payload
        self.sequence += 1
        self.timestamp += self.source.clock_rate // 50
        return data

    def arrive(self, *packets: bytes) -> None:
        for data in packets:
            self._datagram = data
            self.incoming.receive_and_forward()

    def tick(self) -> None:
        if self.speaker.is_busy:
            self.speaker.tick()
        for incoming in list(self.ticking):
            incoming.tick()
        for hearing in list(self.hearings):
            hearing.tick()

    def run(self, ticks: int, *, speaks: bool = True) -> None:
        """A packet comes in the middle between two ticks."""
        for _ in range(ticks):
            self.clock.now += 0.01
            if speaks:
                self.arrive(self.packet())
            self.clock.now += 0.01
            self.tick()

    def play(self, play_id: str = "p", frequency: float = PLAYED, ms: int = 1000, **fields: object) -> None:
        command = StartPlay(endpoint_id="leg", play_id=play_id, sources=(), **fields)  # type: ignore[arg-type]
        self.speaker.play(command, Player((tone((frequency,), ms),), volume_db=command.volume_db))

    def ends(self) -> list[str]:
        return [event.play_id for event in self.told if isinstance(event, PlayEnded)]

    def steps_in_order(self) -> list[tuple[int, int]]:
        numbers = [struct.unpack_from("!HI", data, 2) for data in self.sent]
        return [((b[0] - a[0]) & 0xFFFF, (b[1] - a[1]) & 0xFFFFFFFF) for a, b in pairwise(numbers)]

    def steps(self) -> set[tuple[int, int]]:
        return set(self.steps_in_order())

    def pcm(self) -> bytes:
        playout = Playout(self.sink, 8000, start_ms=20, spare=999)
        frames = []
        for data in self.sent:
            if data[1] & 0x7F == 97:
                playout.put(data, data[12:])
                frames.append(playout.next_frame() or SILENT_FRAME)
        if playout.rate == 8000:
            return b"".join(frames)
        down = RateConverter(playout.rate, 8000)
        return b"".join(down.convert(frame.ljust(playout.rate // 25, b"\0")) for frame in frames)


def has(pcm: bytes, frequency: float) -> bool:
    """In every tenth of a second."""
    pieces = [pcm[at : at + 1600] for at in range(0, len(pcm) - 1599, 1600)]
    return all(read_tone(piece, (frequency,)).share > 0.05 for piece in pieces)


def hasnt(pcm: bytes, frequency: float) -> bool:
    pieces = [pcm[at : at + 1600] for at in range(0, len(pcm) - 1599, 1600)]
    return all(read_tone(piece, (frequency,)).share < 0.01 for piece in pieces)


def test_a_mixture_is_exact_to_the_sample_and_nothing_of_either_is_lost() -> None:
    bridge = Bridge()
    bridge.run(10)
    bridge.play(ms=200)
    bridge.run(30)
    assert bridge.steps() == {(1, 160)}
    plays = Player((tone((PLAYED,), 200),))
    expected = []
    for n in range(40):
        said = g711.encode("PCMU", bridge.voice[n])
        if 10 <= n < 20:
            over = plays.next_frame()
            assert over is not None
            said = g711.encode("PCMU", audio.add(audio.ulaw2lin(said, 2), over, 2))
        expected.append(said)
    assert [data[12:] for data in bridge.sent] == expected
    assert bridge.ends() == ["p"]


def test_the_fast_path_comes_back_and_was_there_before() -> None:
    bridge = Bridge()
    bridge.run(10)
    assert bridge.incoming.is_armed
    bridge.play(ms=200)
    assert not bridge.incoming.is_armed
    bridge.run(5)
    assert not bridge.incoming.is_armed
    bridge.run(30)  # the numbers of what goes out run over meanwhile, which they do outside of the run
    assert bridge.outgoing.overlay is None
    assert bridge.incoming.is_armed


CODECS = ("PCMU", "PCMA", "G722", "OPUS", "L16/8000", "L16/16000", "L16/48000")


@pytest.mark.parametrize("sink", CODECS)
@pytest.mark.parametrize("source", CODECS)
def test_both_are_heard_in_every_codec(source: str, sink: str) -> None:
    bridge = Bridge(source, sink)
    bridge.run(25)
    bridge.play(ms=1000)
    bridge.run(100)
    pcm = bridge.pcm()
    before, during, after = pcm[1600 : 25 * 320], pcm[30 * 320 : 70 * 320], pcm[85 * 320 :]
    assert has(before, VOICE)
    assert hasnt(before, PLAYED)
    assert has(during, VOICE)
    assert has(during, PLAYED)
    assert has(after, VOICE)
    assert hasnt(after, PLAYED)
    assert {step for step, _ in bridge.steps()} == {1}
    assert {step for _, step in bridge.steps()} == {bridge.sink.clock_rate // 50}
    assert len(bridge.sent) in range(123, 127)


@pytest.mark.parametrize(("ptime", "sink"), [(10, "PCMU"), (30, "PCMA"), (60, "PCMU"), (40, "OPUS")])
def test_packets_keep_the_length_that_the_far_end_wants(ptime: int, sink: str) -> None:
    bridge = Bridge("PCMU", sink, ptime)
    bridge.run(25)
    bridge.play(ms=1000)
    bridge.run(100)
    lengths = [step for _, step in bridge.steps()]
    wanted = bridge.sink.clock_rate * ptime // 1000
    assert wanted in lengths
    assert max(lengths) <= wanted
    assert {step for step, _ in bridge.steps()} == {1}


def test_a_source_of_longer_packets_is_mixed_with_every_sample_of_the_play() -> None:
    bridge = Bridge(ptime_ms=60)
    for _ in range(3):
        bridge.run(30)
        bridge.play(ms=600)
        bridge.run(60)
    assert bridge.ends() == ["p"] * 3
    assert sum(step for _, step in bridge.steps()) > 0


def test_plays_at_once_are_mixed_and_each_is_its_own() -> None:
    bridge = Bridge()
    bridge.run(10)
    bridge.play("p", PLAYED, ms=2000)
    bridge.play("q", OTHER, ms=2000)
    bridge.run(30)
    bridge.speaker.stop("q")
    assert bridge.ends() == ["q"]
    bridge.run(30)
    pcm = bridge.pcm()
    assert heard(pcm[12 * 320 : 40 * 320], (VOICE, PLAYED, OTHER), share=0.9)
    assert hasnt(pcm[42 * 320 :], OTHER)
    assert has(pcm[42 * 320 :], PLAYED)


def test_too_many_plays_at_once_are_refused_with_a_sentence() -> None:
    bridge = Bridge()
    for n in range(MOST_PLAYS + 1):
        bridge.play(f"p{n}")
    (ended,) = bridge.told
    assert isinstance(ended, PlayEnded)
    assert (ended.play_id, len(ended.errors)) == (f"p{MOST_PLAYS}", 1)


def test_the_same_id_again_ends_the_old_play() -> None:
    bridge = Bridge()
    bridge.play()
    bridge.play()
    bridge.run(80)
    assert bridge.ends() == ["p", "p"]


@pytest.mark.parametrize("speaks", [True, False])
def test_a_paused_play_goes_on_where_it_was(speaks: bool) -> None:
    bridge = Bridge("L16/8000", "L16/8000")
    bridge.voice = [SILENT_FRAME] * 3000
    bridge.run(10, speaks=speaks)
    bridge.play(ms=400)
    bridge.run(7, speaks=speaks)
    bridge.speaker.pause("p", True)
    count = len(bridge.sent)
    bridge.run(50, speaks=speaks)
    assert bridge.ends() == []
    assert len(bridge.sent) - count == (50 if speaks else 0)
    assert bridge.outgoing.overlay is None
    bridge.speaker.pause("p", False)
    bridge.run(30, speaks=speaks)
    assert bridge.ends() == ["p"]
    payloads = [codec_of("L16/8000").make_decoder(8000).decode(data[12:]) for data in bridge.sent]  # type: ignore[misc]
    sounding = [frame for frame in payloads if frame != SILENT_FRAME]
    assert sounding == list(tone_frames((PLAYED,), 400))


def test_a_play_that_begins_paused_waits() -> None:
    bridge = Bridge()
    bridge.play(ms=200, paused=True)
    bridge.run(50, speaks=False)
    assert (bridge.sent, bridge.ends()) == ([], [])
    bridge.speaker.pause("p", False)
    bridge.run(12, speaks=False)
    assert (len(bridge.sent), bridge.ends()) == (10, ["p"])


@pytest.mark.parametrize("speaks", [True, False])
def test_the_volume_of_one_play_can_be_changed(speaks: bool) -> None:
    bridge = Bridge("L16/8000", "L16/8000")
    bridge.voice = [SILENT_FRAME] * 3000
    bridge.run(10, speaks=speaks)
    bridge.play("p", PLAYED, ms=2000, volume_db=-6.0)
    bridge.play("q", OTHER, ms=2000)
    bridge.run(30, speaks=speaks)
    bridge.speaker.set_volume("p", -26.0)
    count = len(bridge.sent)
    bridge.run(30, speaks=speaks)
    pcm = b"".join(codec_of("L16/8000").make_decoder(8000).decode(data[12:]) for data in bridge.sent)  # type: ignore[misc]
    first, second = pcm[15 * 320 : 25 * 320], pcm[(count + 3) * 320 : (count + 23) * 320]
    assert read_tone(first, (PLAYED,)).share == pytest.approx(0.2, abs=0.02)
    assert read_tone(second, (PLAYED,)).share == pytest.approx(0.0025, abs=0.001)
    assert level(second) == pytest.approx(-16.0, abs=0.2)


def test_what_is_not_there_can_be_paused_and_stopped_without_a_word() -> None:
    bridge = Bridge()
    bridge.speaker.pause("x", True)
    bridge.speaker.stop("x")
    bridge.speaker.set_volume("x", 3.0)
    assert bridge.told == []


# ------------------------------------------------------------------ sources that come and go


def test_while_nobody_speaks_the_tick_says_the_play_and_a_voice_that_begins_joins_it() -> None:
    bridge = Bridge()
    bridge.play(ms=2000)
    bridge.run(20, speaks=False)
    assert len(bridge.sent) == 20
    bridge.run(40)
    bridge.run(40, speaks=False)
    pcm = bridge.pcm()
    assert bridge.steps() == {(1, 160)}
    assert has(pcm[: 90 * 320], PLAYED)
    assert hasnt(pcm[: 20 * 320], VOICE)
    assert has(pcm[23 * 320 : 58 * 320], VOICE)
    assert hasnt(pcm[62 * 320 :], VOICE)
    assert len(bridge.sent) in range(99, 103)


@pytest.mark.parametrize("seed", range(5))
def test_under_jitter_time_is_kept_and_little_is_lost(seed: int) -> None:
    draw = random.Random(seed)
    bridge = Bridge()
    bridge.play(ms=60_000)
    waiting: list[tuple[float, bytes]] = []
    for _ in range(2000):
        waiting.append((bridge.clock.now + draw.expovariate(1 / 0.015), bridge.packet()))
        bridge.clock.now += 0.02
        due = [data for at, data in waiting if at <= bridge.clock.now]
        waiting = [one for one in waiting if one[0] > bridge.clock.now]
        bridge.arrive(*due)
        bridge.tick()
    seconds = sum(step for _, step in bridge.steps_in_order()) / 8000
    assert seconds == pytest.approx(40.0, abs=0.25)


def test_a_stall_and_the_flood_after_it_neither_stop_nor_hurry_the_play() -> None:
    bridge = Bridge()
    bridge.play(ms=60_000)
    for _ in range(10):
        bridge.run(50)
        late = [bridge.packet() for _ in range(25)]
        bridge.run(25, speaks=False)
        bridge.arrive(*late)
    assert len(bridge.sent) in range(740, 765)
    assert bridge.steps() == {(1, 160)}


def test_loss_is_made_up_and_the_play_goes_on() -> None:
    draw = random.Random(3)
    bridge = Bridge()
    bridge.play(ms=60_000)
    for _ in range(1000):
        bridge.clock.now += 0.01
        data = bridge.packet()
        if draw.random() > 0.05:
            bridge.arrive(data)
        bridge.clock.now += 0.01
        bridge.tick()
    assert len(bridge.sent) in range(990, 1010)
    assert bridge.steps() == {(1, 160)}
    assert has(bridge.pcm()[3200:-3200], PLAYED)


@pytest.mark.parametrize("change", ["unjoin", "join", "hold", "new source"])
def test_who_is_joined_may_change_under_a_play(change: str) -> None:
    bridge = Bridge()
    bridge.run(10)
    bridge.play(ms=2000)
    bridge.run(20)
    if change == "unjoin":
        bridge.incoming.feed(None)
    elif change == "join":
        bridge.incoming.feed(None)
        bridge.run(10, speaks=False)
        bridge.incoming.feed(bridge.outgoing)
    elif change == "hold":
        bridge.run(10, speaks=False)
    else:
        bridge.timestamp += 1_000_000
    bridge.run(40)
    assert bridge.steps() == {(1, 160)}
    assert has(bridge.pcm()[12 * 320 : 68 * 320], PLAYED)
    assert len(bridge.sent) in range(67, 84)


def test_while_nothing_may_be_sent_the_play_runs_on_in_time() -> None:
    bridge = Bridge()
    bridge.play(ms=1000)
    bridge.run(10, speaks=False)
    bridge.speaker.is_open = False
    bridge.run(20, speaks=False)
    assert len(bridge.sent) == 10
    bridge.speaker.is_open = True
    bridge.run(40, speaks=False)
    assert len(bridge.sent) == 30
    assert bridge.ends() == ["p"]


def test_keys_stand_alone_and_the_play_waits_for_them() -> None:
    bridge = Bridge()
    bridge.run(10)
    bridge.play(ms=1000)
    bridge.run(10)
    bridge.speaker.send_digits(SendDigits(endpoint_id="leg", digits="5", duration_ms=100, send_id="s"))
    bridge.incoming.feed(None)
    bridge.run(9)
    assert [event for event in bridge.told if isinstance(event, DigitsPlayed)]
    bridge.incoming.feed(bridge.outgoing)
    bridge.run(60)
    kinds = "".join("e" if data[1] & 0x7F == 101 else "a" for data in bridge.sent)
    assert kinds.startswith("a" * 20 + "e" * 8 + "a")
    assert bridge.ends() == ["p"]
    said = b"".join(audio.ulaw2lin(data[12:], 2) for data in bridge.sent if data[1] & 0x7F == 97)
    assert has(said[10 * 320 : 58 * 320], PLAYED)
    assert has(said, VOICE)


@pytest.mark.parametrize("audio_too", [True, False])
@pytest.mark.parametrize("lasts", [40, 60, 100, 1000])
@pytest.mark.parametrize("begins", range(14))
def test_a_key_that_is_pressed_while_a_play_begins_or_ends_stays_one(
    begins: int, lasts: int, audio_too: bool
) -> None:
    bridge = Bridge()
    if audio_too:
        bridge.run(5)
    start = bridge.timestamp
    for n in range(12):
        if n == begins:
            bridge.play(ms=lasts)
        bridge.clock.now += 0.01
        end = 0x80 if n >= 9 else 0
        payload = struct.pack("!BBH", 7, end | 10, 160 * min(n + 1, 10))
        bridge.arrive(
            struct.pack("!BBHII", 0x80, 101 | (0x80 if not n else 0), bridge.sequence, start, 5) + payload
        )
        bridge.sequence += 1
        bridge.clock.now += 0.01
        bridge.tick()
    bridge.timestamp += 12 * 160
    bridge.run(5)
    stamps = [int.from_bytes(data[4:8], "big") for data in bridge.sent if data[1] & 0x7F == 101]
    assert (len(stamps), len(set(stamps))) == (12, 1)
    assert {step for step, _ in bridge.steps()} == {1}


def test_music_on_hold_stands_alone_and_without_a_seam() -> None:
    bridge = Bridge()
    bridge.run(10)
    bridge.play("p", OTHER, ms=2000)
    bridge.run(10)
    bridge.play("q", ms=400, alone=True)
    assert bridge.speaker.stands_alone
    bridge.incoming.feed(None)
    bridge.run(20)
    assert len(bridge.sent) == 40
    bridge.run(1)
    assert not bridge.speaker.stands_alone
    bridge.incoming.feed(bridge.outgoing)
    bridge.run(20)
    pcm = bridge.pcm()
    assert bridge.steps() == {(1, 160)}
    assert hasnt(pcm[22 * 320 : 38 * 320], VOICE)
    assert has(pcm[22 * 320 : 38 * 320], PLAYED)
    assert has(pcm[22 * 320 : 58 * 320], OTHER)
    assert has(pcm[44 * 320 : 58 * 320], VOICE)
    bridge.play("r", alone=True, paused=True)
    assert not bridge.speaker.stands_alone


def test_what_cannot_be_encoded_is_passed_on_and_the_play_ends_in_time() -> None:
    bridge = Bridge()
    bridge.incoming.expect({96: "G729"})
    bridge.outgoing.speak(Speech(codec_of("G729"), 97, 20))
    bridge.play(ms=200)
    for n in range(20):
        bridge.clock.now += 0.02
        bridge.arrive(struct.pack("!BBHII", 0x80, 96, n, 160 * n, 5) + bytes(20))
        bridge.tick()
    assert bridge.ends() == ["p"]
    assert len(bridge.sent) == 20


def test_what_cannot_be_decoded_gives_way_to_the_play() -> None:
    bridge = Bridge()
    bridge.incoming.expect({96: "G729"})
    bridge.play(ms=400)
    for n in range(30):
        bridge.clock.now += 0.02
        bridge.arrive(struct.pack("!BBHII", 0x80, 96, n, 160 * n, 5) + bytes(20))
        bridge.tick()
    assert bridge.ends() == ["p"]
    assert len(bridge.sent) == 20


def test_who_listens_hears_the_mixture_as_it_is_sent() -> None:
    class Listener:
        rate = 8000

        def __init__(self) -> None:
            self.pcm = b""

        def hear(self, frame: bytes | None) -> None:
            self.pcm += frame or SILENT_FRAME

    bridge = Bridge()
    bridge.outgoing = Outgoing(RtpSender(ssrc=9), bridge.clock, bridge.hearings)
    bridge.outgoing.speak(Speech(bridge.sink, 97, 20, event_type=101))
    bridge.speaker = Speaker("leg", bridge.outgoing, bridge.told.append)
    bridge.speaker.is_open = True
    bridge.incoming.feed(bridge.outgoing)
    listener = Listener()
    bridge.outgoing.attach(listener)
    bridge.run(20)
    bridge.play(ms=1000)
    bridge.run(40)
    assert has(listener.pcm[28 * 320 : 58 * 320], VOICE)
    assert has(listener.pcm[28 * 320 : 58 * 320], PLAYED)
