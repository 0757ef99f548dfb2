"""Microseconds of the media functions that run for every packet or every frame: `python bench/media_pure.py`.

Each figure is the best of several runs, so that what else the machine does matters little.
"""

from __future__ import annotations

import io
import random
import struct
import time
import wave
from collections.abc import Callable

from cordboard.media import rtcp, rtp, tones
from cordboard.media.codecs import g711
from cordboard.media.dtmf import DigitReceiver
from cordboard.media.jitter import JitterBuffer
from cordboard.media.player import Player, ring
from cordboard.media.wav import WavReader

ROUNDS = 7
PACKETS = 20_000


def measure(name: str, run: Callable[[], int]) -> None:
    """`run` does its thing so often as it returns."""
    best = min(_timed(run) for _ in range(ROUNDS))
    print(f"{name:<58} {best:7.2f} us")


def _timed(run: Callable[[], int]) -> float:
    start = time.perf_counter()
    times = run()
    return (time.perf_counter() - start) / times * 1e6


def packets() -> list[bytes]:
    """One stream of G.711."""
    sender = rtp.RtpSender(ssrc=1, sequence=65_000)
    return [sender.packet(random.randbytes(160), 0, 160) for _ in range(PACKETS)]


DATA = packets()
ARRIVALS = [(data, 5.0 + 0.02 * n + random.uniform(0, 0.01)) for n, data in enumerate(DATA)]
PIECES = [(rtp.sequence(data), rtp.timestamp(data), data[12:]) for data in DATA]


def read_payload() -> int:
    payload = rtp.payload
    for data in DATA:
        payload(data)
    return PACKETS


def statistics() -> int:
    update = rtp.ReceptionStatistics().update
    for data, arrival in ARRIVALS:
        update(data, arrival)
    return PACKETS


def statistics_sampled() -> int:
    sample = rtp.ReceptionStatistics().sample
    counted = octets = 0
    for (_, arrival), (sequence, timestamp, _) in zip(ARRIVALS, PIECES, strict=True):
        counted += 1
        octets += 172
        if counted == 8:
            sample(sequence, timestamp, arrival, counted, octets)
            counted = octets = 0
    return PACKETS


def send() -> int:
    packet, audio = rtp.RtpSender(ssrc=1).packet, bytes(160)
    for _ in range(PACKETS):
        packet(audio, 0, 160)
    return PACKETS


def forward() -> int:
    passed, payload = rtp.RtpSender(ssrc=1).forward, rtp.payload
    for data in DATA:
        passed(data, payload(data) or b"", 8, 160)
    return PACKETS


def translate() -> int:
    table = g711.PCMU_TO_PCMA
    for data in DATA:
        data.translate(table)
    return PACKETS


def decode_and_encode() -> int:
    decode, encode = g711.decode, g711.encode
    for _, _, payload in PIECES:
        encode("PCMA", decode("PCMU", payload))
    return PACKETS


def jitter_buffer() -> int:
    buffer = JitterBuffer()
    put, get = buffer.put, buffer.get
    for sequence, timestamp, payload in PIECES:
        put(sequence, timestamp, payload)
        get()
    return PACKETS


def jitter_buffer_of_30_ms() -> int:
    buffer = JitterBuffer()
    put, get = buffer.put, buffer.get
    for n in range(0, PACKETS, 3):
        put(n, 160 * n, bytes(240))
        get()
        put(n + 1, 160 * n + 240, bytes(240))
        get()
        get()
    return PACKETS


def events() -> int:
    handle = DigitReceiver().handle
    for n in range(PACKETS):
        flags = 0x8A if n % 8 > 4 else 0x0A
        handle(struct.pack("!BBH", n // 8 % 10, flags, 160 * (n % 8)), 1280 * (n // 8), 0.02 * n)
    return PACKETS


def play_ringing() -> int:
    player = Player([ring("us")], loop=0, volume_db=-3)
    for _ in range(PACKETS):
        player.next_frame()
    return PACKETS


def wav_file(rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(random.randbytes(2 * 10 * rate))
    return file.getvalue()


def read_wav(data: bytes) -> Callable[[], int]:
    def run() -> int:
        reader = WavReader(io.BytesIO(data))
        frames = 0
        while reader.next_frame() is not None:
            frames += 1
        return frames

    return run


def meter() -> int:
    listening = tones.ToneMeter((440, 480, 600, 1000))
    pcm = tones.tone((440, 480), 2000)
    frames = tones.frames(pcm)
    for frame in frames:
        listening.feed(frame)
    return len(frames)


def report() -> int:
    reporting, sender, heard = rtcp.Reporting(cname="bench"), rtp.RtpSender(ssrc=1), rtp.ReceptionStatistics()
    heard.update(DATA[0], 1.0)
    for n in range(1000):
        sender.packet(b"x", 0, 160)
        reporting.handle(reporting.report(sender, heard, float(n)), 1, float(n))
    return 1000


def main() -> None:
    """Print the table."""
    measure("rtp.payload", read_payload)
    measure("ReceptionStatistics.update", statistics)
    measure("ReceptionStatistics.sample, every 8th packet", statistics_sampled)
    measure("RtpSender.packet", send)
    measure("rtp.payload and RtpSender.forward", forward)
    measure("PCMU to PCMA by table, 172 bytes", translate)
    measure("PCMU to PCMA by decoding and encoding, 160 bytes", decode_and_encode)
    measure("JitterBuffer.put and get, 20 ms packets", jitter_buffer)
    measure("JitterBuffer.put and get, 30 ms packets, a tick", jitter_buffer_of_30_ms)
    measure("DigitReceiver.handle", events)
    measure("Player.next_frame, ringing at -3 dB", play_ringing)
    measure("WavReader.next_frame, 8 kHz", read_wav(wav_file(8000)))
    measure("WavReader.next_frame, 44.1 kHz resampled", read_wav(wav_file(44_100)))
    measure("ToneMeter.feed, 4 candidates, a frame", meter)
    measure("Reporting.report and handle", report)


if __name__ == "__main__":
    main()
