from __future__ import annotations

import math

import msgspec
import pytest

from cordboard.sdp import Codec, MediaParameters
from cordboard.testing.phone_audio import PhoneAudio

AGREED = MediaParameters(
    address="192.0.2.1",
    port=4000,
    rtcp_port=4001,
    codec=Codec("PCMU", 0),
    accepted=((0, "PCMU"), (8, "PCMA")),
    ptime_ms=20,
    dtmf_send_type=101,
    dtmf_receive_type=101,
)
SOURCE = ("192.0.2.9", 5000)


def phone(
    media: MediaParameters | None = AGREED, *, tone_hz: float | None = 440.0, muted: bool = False
) -> PhoneAudio:
    audio = PhoneAudio(ssrc=1, tone_hz=tone_hz, muted=muted)
    if media is not None:
        audio.agree(media)
    return audio


def pour(
    mouth: PhoneAudio, ear: PhoneAudio, ticks: int, *, begin: float = 0.0, lose: tuple[int, ...] = ()
) -> None:
    """20 ms ticks in virtual time."""
    for tick in range(ticks):
        packet = mouth.next_packet()
        if packet is not None and tick not in lose:
            ear.receive(packet, SOURCE, begin + tick * 0.02)


@pytest.mark.parametrize("frequency", [440.0, 523.0, 659.0, 1000.0])
@pytest.mark.parametrize("codec", [Codec("PCMU", 0), Codec("PCMA", 8)])
def test_the_tone_of_one_phone_is_measured_by_the_other(frequency: float, codec: Codec) -> None:
    ear = phone()
    pour(phone(msgspec.structs.replace(AGREED, codec=codec), tone_hz=frequency), ear, 20)
    heard = ear.report()
    assert heard.frequency == pytest.approx(frequency, abs=2.0)
    assert heard.level == pytest.approx(-16.0, abs=0.5)
    assert ear.hears(frequency)
    assert not ear.hears(frequency + 50.0)


def test_nothing_is_said_before_media_is_agreed_on() -> None:
    assert phone(None).next_packet() is None
    assert phone(None).destination is None


def test_nothing_is_said_on_hold() -> None:
    held = phone(msgspec.structs.replace(AGREED, direction="recvonly"))
    assert held.next_packet() is None
    assert held.destination is None


def test_a_muted_phone_sends_nothing_but_its_time_goes_on() -> None:
    assert phone(muted=True).next_packet() is None


def test_silence_is_no_sound() -> None:
    ear = phone()
    pour(phone(tone_hz=None), ear, 20)
    heard = ear.report()
    assert heard.packets_received == 20
    assert (heard.first_packet_at, heard.first_audio_at, heard.frequency, heard.level) == (
        0.0,
        None,
        None,
        None,
    )


def test_the_first_sound_after_silence_has_its_time() -> None:
    mouth, ear = phone(tone_hz=None), phone()
    pour(mouth, ear, 10)
    mouth.speak(523.0)
    pour(mouth, ear, 10, begin=0.2)
    assert ear.report().first_audio_at == pytest.approx(0.2)


def test_what_was_heard_last_counts_even_after_silence() -> None:
    mouth, ear = phone(tone_hz=440.0), phone()
    for tone in (440.0, None, 659.0, None):
        mouth.speak(tone)
        pour(mouth, ear, 10)
    assert ear.report().frequency == pytest.approx(659.0, abs=2.0)
    assert not ear.hears(659.0)


def test_losses_and_the_largest_gap_are_counted() -> None:
    ear = phone()
    pour(phone(), ear, 20, lose=(5, 6, 7))
    heard = ear.report()
    assert (heard.packets_received, heard.packets_lost) == (17, 3)
    assert heard.largest_gap == pytest.approx(0.08)
    assert heard.sources == [SOURCE]


def test_keys_are_heard_once_each_in_order() -> None:
    mouth, ear = phone(), phone()
    mouth.press("1234#")
    assert mouth.pressing
    pour(mouth, ear, 100)
    assert [heard.digit for heard in ear.digits_heard] == list("1234#")
    assert not mouth.pressing


def test_a_key_whose_end_is_lost_is_released_in_time() -> None:
    mouth, ear = phone(), phone()
    mouth.press("7")
    pour(mouth, ear, 3)
    assert ear.digits_heard == []
    ear.release_keys(1.0)
    assert [heard.digit for heard in ear.digits_heard] == ["7"]


def test_without_telephone_event_keys_are_not_sent() -> None:
    mouth, ear = phone(msgspec.structs.replace(AGREED, dtmf_send_type=None)), phone()
    mouth.press("1")
    pour(mouth, ear, 50)
    assert ear.digits_heard == []


@pytest.mark.parametrize(
    "data", [b"", b"x", bytes(12), bytes(200), b"\x80\x63" + bytes(170), b"\xbf" + b"\xff" * 40]
)
def test_what_is_no_speech_is_counted_and_ignored(data: bytes) -> None:
    ear = phone()
    ear.receive(data, SOURCE, 0.0)
    assert ear.report().packets_unknown == 1


def test_a_recording_has_all_that_was_heard() -> None:
    ear = PhoneAudio(ssrc=2, tone_hz=None, record=True)
    ear.agree(AGREED)
    pour(phone(), ear, 50)
    assert ear.recording is not None
    assert len(ear.recording) == 16_000
    assert not math.isinf(ear.report().level or -math.inf)


def test_reports_tell_the_far_end_of_its_losses_and_the_round_trip() -> None:
    mouth, ear = phone(), phone()
    pour(mouth, ear, 20, lose=(5, 6))
    first = mouth.next_report(1.0)
    assert first is not None
    ear.receive_report(first, 1.1)
    second = ear.next_report(1.5)
    assert second is not None
    mouth.receive_report(second, 1.6)
    told = mouth.report()
    assert (told.remote_lost, told.rtcp_received) == (2, 1)
    assert told.round_trip_ms == pytest.approx(200.0, abs=1.0)
    assert mouth.report_destination == ("192.0.2.1", 4001)


def test_nothing_is_reported_before_media_is_agreed_on() -> None:
    assert phone(None).next_report(0.0) is None
    assert phone(None).report_destination is None


def test_a_report_of_nonsense_is_ignored() -> None:
    ear = phone()
    ear.receive_report(b"\x80nonsense", 0.0)
    assert ear.report().round_trip_ms is None
