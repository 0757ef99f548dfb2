"""From one audio file to another, by FFmpeg's libraries (PyAV).  Blocks; runs in the audio process only.

What comes from the web is decoded here, so only demuxers of audio files are let near it: a playlist, which
would make the library open other files or addresses, is no audio file.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

RATE = 8000
"""Samples a second of what is decoded: what phones are played."""
_DEMUXERS = "aac,ac3,aiff,amr,amrnb,amrwb,asf,au,caf,flac,matroska,mov,mp3,ogg,w64,wav,wv"
_MOST_BROKEN = 100
"""Packets in a row that cannot be decoded."""
_ENCODERS = {"mp3": ("mp3", "libmp3lame", 32_000), "mp4": ("mp4", "aac", 32_000)}
"""Format → container, codec, bits a second of one channel."""


class ConversionError(Exception):
    """`str()` is the end of a sentence about the file."""


def decode(source: Path, target: Path, *, most_seconds: float) -> None:
    """Write the first audio stream of a file as a WAV file: 16-bit, mono, 8 kHz.

    Damaged places are left out.  Raises `ConversionError`, OSError.
    """
    try:
        with source.open("rb") as file, _open(file) as container:
            size = _write_wav(target, _decoded(container), int(most_seconds * RATE))
    except (av.FFmpegError, ValueError, EOFError) as error:
        raise ConversionError(_why(error)) from None
    if not size:
        raise ConversionError("has no audio that can be decoded")


def _open(file: BinaryIO) -> InputContainer:
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none"}
    return av.open(file, "r", container_options=options, metadata_errors="ignore")


def _decoded(container: InputContainer) -> Iterator[bytes]:
    """PCM, piece by piece."""
    if not container.streams.audio:
        raise ConversionError("has no audio in it")
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    for frame in _frames(container, container.streams.audio[0]):
        for piece in resampler.resample(frame):
            yield bytes(piece.planes[0])[: 2 * piece.samples]


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame | None]:
    broken = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            broken += 1
            if broken > _MOST_BROKEN:
                raise
            continue
        broken = 0
        for frame in frames:
            if isinstance(frame, av.AudioFrame):
                yield frame
    yield None


def _write_wav(target: Path, pieces: Iterator[bytes], most: int) -> int:
    """Samples written."""
    written = 0
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for pcm in pieces:
            written += len(pcm) // 2
            if written > most:
                raise ConversionError(f"plays longer than {most / RATE / 60:.3g} minutes")
            file.writeframes(pcm)
    return written


def encode(source: Path, target: Path, *, format_: str) -> None:
    """Write a WAV file as `mp3` or `mp4` (AAC).  Raises `ConversionError`, OSError."""
    container, codec, bit_rate = _ENCODERS[format_]
    try:
        with (
            av.open(str(source), format="wav") as sound,
            av.open(str(target), "w", format=container) as made,
        ):
            heard = sound.streams.audio[0]
            channels = heard.layout.nb_channels
            stream = made.add_stream(codec, rate=heard.rate, layout="stereo" if channels == 2 else "mono")
            assert isinstance(stream, AudioStream)
            stream.bit_rate = bit_rate * channels
            resampler = _cutter(stream)
            for frame in sound.decode(heard):
                for piece in resampler.resample(frame):
                    made.mux(stream.encode(piece))
            for piece in resampler.resample(None):
                made.mux(stream.encode(piece))
            made.mux(stream.encode(None))
    except (av.FFmpegError, ValueError) as error:
        raise ConversionError(_why(error)) from None


def _cutter(stream: AudioStream) -> av.AudioResampler:
    """Encoders want frames of their own length and kind of samples."""
    stream.codec_context.open()
    return av.AudioResampler(
        format=stream.format, layout=stream.layout, rate=stream.rate, frame_size=stream.frame_size or None
    )


def _why(error: Exception) -> str:
    if isinstance(error, av.FFmpegError) and not isinstance(error, av.InvalidDataError):
        return f"cannot be read as audio: {error.strerror}"
    return "is not an audio file of a kind that can be played"
