"""Methods that play, listen, record and copy: options in, actions and variables out."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import (
    Denoise,
    DenoiseDone,
    DigitInput,
    DigitsDone,
    PlayItem,
    Prompt,
    PromptDone,
    Record,
    RecordCall,
    RecordDone,
    Recording,
    RecordStarted,
    SendDigits,
    SpeechInput,
    Stopped,
    StopRecordCall,
    StopTap,
    Tap,
    TapStarted,
    TapTarget,
)

# ------------------------------------------------------------------ speech


def test_a_say_text_has_the_options_of_its_step(drive: Any) -> None:
    ran = drive("- play: {url: 'say: Good day ', say_voice: Amy, say_language: en-GB, say_gender: female}")
    assert ran.actions[0].items == (
        PlayItem(kind="say", text="Good day", voice="Amy", language="en-GB", gender="female"),
    )


def test_a_say_text_without_options_is_american_english_in_the_servers_voice(drive: Any) -> None:
    ran = drive("- play: say:Hi")
    assert ran.actions[0].items == (PlayItem(kind="say", text="Hi", language="en-US"),)


def test_variables_of_the_same_names_are_the_defaults_of_speech_and_options_win(drive: Any) -> None:
    ran = drive(
        "- set: {say_voice: Amy, say_language: de-DE, say_gender: male}\n"
        "- play: {url: 'say:one', say_language: en-GB}\n"
        "- prompt: 'say:two'\n"
        "- connect: {to: 'sip:b@h', ringback: ['say:three']}"
    )
    play, prompt, connect = ran.actions
    assert play.items[0] == PlayItem(kind="say", text="one", voice="Amy", language="en-GB", gender="male")
    assert prompt.items[0] == PlayItem(kind="say", text="two", voice="Amy", language="de-DE", gender="male")
    assert connect.plan.ringback.items[0].voice == "Amy"


@pytest.mark.parametrize("text", ["say:", "say:  ", "say:" + "x" * 5_001])
def test_nothing_to_say_or_too_much_is_left_out(drive: Any, text: str) -> None:
    ran = drive(f"- play: ['{text}', 'ring:us']")
    assert [item.kind for item in ran.actions[0].items] == ["ring"]
    assert ran.vars["play_result"] == "failed"


# ------------------------------------------------------------------ prompt


@pytest.mark.parametrize(
    ("options", "digits", "speech"),
    [
        ("", DigitInput(), None),
        (", max_digits: 4, terminators: '#*'", DigitInput(max_digits=4, terminators="#*"), None),
        (
            ", digit_timeout: 2.5, initial_timeout: 10",
            DigitInput(digit_timeout=2.5, initial_timeout=10.0),
            None,
        ),
        (", speech_timeout: 8", None, SpeechInput(timeout=8.0)),
        (
            ", speech_hints: [yes, 'no'], max_digits: 1",
            DigitInput(),
            SpeechInput(hints=("yes", "no")),
        ),
        (
            ", speech_language: de-DE, speech_end_timeout: 1, speech_engine: Deepgram",
            None,
            SpeechInput(end_timeout=1.0, language="de-DE", engine="Deepgram"),
        ),
        (", speech_engine: Google", DigitInput(), None),
    ],
)
def test_which_properties_are_given_decides_between_keys_and_speech(
    drive: Any, options: str, digits: DigitInput | None, speech: SpeechInput | None
) -> None:
    ran = drive(f"- prompt: {{play: 'ring:us'{options}}}")
    (prompt,) = ran.actions
    assert (prompt.digits, prompt.speech) == (digits, speech)


def test_prompt_takes_a_list_volume_and_status_url(drive: Any) -> None:
    ran = drive("- prompt: {play: ['ring:us', 'silence:1'], volume: -3, status_url: 'http://h/s'}")
    (prompt,) = ran.actions
    assert isinstance(prompt, Prompt)
    assert [item.kind for item in prompt.items] == ["ring", "silence"]
    assert (prompt.volume, prompt.status_url) == (-3.0, "http://h/s")


def test_what_was_pressed_is_in_the_variables(drive: Any) -> None:
    done = PromptDone(result="match_digits", value="1234", terminator="#")
    ran = drive("- prompt: {play: 'say:PIN', max_digits: 4}", results={Prompt: [done]})
    assert ran.vars == {
        "prompt_result": "match_digits",
        "prompt_value": "1234",
        "prompt_value_raw": "1234#",
        "prompt_digit_terminator": "#",
    }


def test_what_was_said_comes_with_its_confidence(drive: Any) -> None:
    done = PromptDone(result="match_speech", value="yes please", confidence=0.93)
    ran = drive("- prompt: {play: 'say:Well?', speech_timeout: 5}", results={Prompt: [done]})
    assert ran.vars["prompt_value"] == "yes please"
    assert ran.vars["prompt_speech_confidence"] == 0.93


def test_a_later_prompt_forgets_what_an_earlier_one_collected(drive: Any) -> None:
    first = PromptDone(result="match_digits", value="1", terminator="#")
    ran = drive(
        "- prompt: 'say:a'\n- prompt: 'say:b'", results={Prompt: [first, PromptDone(result="no_input")]}
    )
    assert ran.vars == {"prompt_result": "no_input", "prompt_value": "", "prompt_value_raw": ""}


def test_a_prompt_that_failed_says_why_and_the_script_goes_on(drive: Any) -> None:
    done = PromptDone(result="failed", errors=("There is no engine for speech.",))
    ran = drive("- prompt: {play: 'say:a', speech_timeout: 5}\n- answer", results={Prompt: [done]})
    assert ran.vars["prompt_result"] == "failed"
    assert ran.warnings[0].message == "prompt: There is no engine for speech."
    assert ran.names == ["prompt", "answer"]


@pytest.mark.parametrize(
    "argument",
    [
        "{}",
        "{play: []}",
        "{play: {}}",
        "{play: 'ring:us', max_digits: 0}",
        "{play: 'ring:us', terminators: x}",
        "{play: 'ring:us', digit_timeout: -1}",
        "{play: 'ring:us', speech_engine: Other}",
        "{play: 'ring:us', speech_hints: yes}",
        "{play: 'ring:us', volume: 50}",
    ],
)
def test_a_prompt_with_bad_properties_asks_nothing(drive: Any, argument: str) -> None:
    ran = drive(f"- prompt: {argument}\n- answer")
    assert ran.names == ["answer"]
    assert ran.vars["prompt_result"] == "failed"
    assert ran.vars["script_error"].startswith("relay_script_")


# ------------------------------------------------------------------ recordings


def test_record_has_the_defaults_of_a_voice_mail(drive: Any) -> None:
    ran = drive("- record")
    assert ran.actions == [
        Record(recording=Recording(terminators="#", initial_timeout=4.0, end_silence_timeout=5.0))
    ]
    assert ran.vars == {"record_result": "success", "record_url": "https://server/recording"}


def test_record_call_has_the_defaults_of_a_witness_and_keeps_its_control_id(drive: Any) -> None:
    ran = drive("- record_call: {control_id: one}\n- stop_record_call: one\n- stop_record_call")
    assert ran.actions == [
        RecordCall(recording=Recording(direction="both"), control_id="one"),
        StopRecordCall(control_id="one"),
        StopRecordCall(),
    ]
    assert ran.vars == {
        "record_call_result": "success",
        "record_call_url": "https://server/recording",
        "record_control_id": "one",
        "stop_record_call_result": "success",
    }


def test_the_options_of_a_recording_reach_the_action(drive: Any) -> None:
    ran = drive(
        "- record: {stereo: true, format: mp3, direction: listen, terminators: '*a', beep: true,"
        " input_sensitivity: 60, initial_timeout: 0, end_silence_timeout: 2.5, max_length: 120,"
        " status_url: 'http://h/s'}"
    )
    assert ran.actions == [
        Record(
            recording=Recording(
                stereo=True,
                format="mp3",
                direction="listen",
                terminators="*A",
                beep=True,
                input_sensitivity=60.0,
                end_silence_timeout=2.5,
                max_length=120.0,
            ),
            status_url="http://h/s",
        )
    ]


def test_recordings_that_fail_say_why(drive: Any) -> None:
    ran = drive(
        "- record\n- record_call\n- stop_record_call",
        results={
            Record: [RecordDone(ok=False, sentence="The disk is full.")],
            RecordCall: [RecordStarted(ok=False, control_id="x", sentence="The disk is full.")],
            StopRecordCall: [Stopped(ok=False, sentence="There is no recording.")],
        },
    )
    assert ran.vars["record_result"] == "failed"
    assert ran.vars["record_call_result"] == "failed"
    assert ran.vars["stop_record_call_result"] == "failed"
    assert "record_control_id" not in ran.vars
    assert [warning.message for warning in ran.warnings] == [
        "record: The disk is full.",
        "record_call: The disk is full.",
        "stop_record_call: There is no recording.",
    ]


@pytest.mark.parametrize(
    "step",
    [
        "record: {format: ogg}",
        "record: {direction: both}",
        "record: {input_sensitivity: 101}",
        "record: {terminators: x}",
        "record: {max_length: -1}",
        "record_call: {direction: all}",
        "record_call: {control_id: 'a b'}",
        "record_call: {status_url: ftp://h}",
        "stop_record_call: [a]",
    ],
)
def test_a_recording_with_bad_properties_is_not_made(drive: Any, step: str) -> None:
    ran = drive(f"- {step}\n- answer")
    assert ran.names == ["answer"]
    assert ran.vars[step.partition(":")[0] + "_result"] == "failed"


# ------------------------------------------------------------------ taps, keys, denoise


def test_a_tap_says_where_its_packets_come_from(drive: Any) -> None:
    ran = drive(
        "- tap: {uri: 'rtp://192.0.2.9:5000', direction: both, codec: PCMA, rtp_ptime: 30}\n- stop_tap"
    )
    target = TapTarget(uri="rtp://192.0.2.9:5000", direction="both", codec="PCMA", ptime_ms=30)
    assert ran.actions == [Tap(target=target), StopTap()]
    assert ran.vars == {
        "tap_result": "success",
        "tap_uri": "rtp://192.0.2.9:5000",
        "tap_control_id": "tap-1",
        "tap_rtp_src_addr": "192.0.2.1",
        "tap_rtp_src_port": 4000,
        "tap_ptime": 30,
        "tap_codec": "PCMA",
        "tap_rate": 8000,
        "stop_tap_result": "success",
    }


def test_a_tap_over_a_websocket_has_no_source_port(drive: Any) -> None:
    started = TapStarted(ok=True, control_id="t")
    ran = drive("- tap: {uri: 'wss://h/tap', control_id: t}", results={Tap: [started]})
    assert ran.vars["tap_result"] == "success"
    assert "tap_rtp_src_addr" not in ran.vars


@pytest.mark.parametrize(
    "argument",
    [
        "{}",
        "{uri: 'http://h'}",
        "{uri: 'rtp://h'}",
        "{uri: 'rtp://h:1', rtp_ptime: 15}",
        "{uri: 'rtp://h:1', rtp_ptime: 130}",
        "{uri: 'rtp://h:1', codec: OPUS}",
        '{uri: "wss://h/\\r\\nX: y"}',
    ],
)
def test_a_tap_with_bad_properties_is_not_begun(drive: Any, argument: str) -> None:
    ran = drive(f"- tap: {argument}\n- answer")
    assert ran.names == ["answer"]
    assert ran.vars["tap_result"] == "failed"


def test_a_tap_that_fails_says_why(drive: Any) -> None:
    failed = TapStarted(ok=False, control_id="t", sentence="h:1 is not allowed.")
    ran = drive("- tap: {uri: 'rtp://h:1'}", results={Tap: [failed]})
    assert ran.vars["tap_result"] == "failed"
    assert ran.warnings[0].message == "tap: h:1 is not allowed."


def test_digits_are_sent_as_written(drive: Any) -> None:
    ran = drive("- send_digits: {digits: '1W2w*#AD'}\n- send_digits: '5'")
    assert ran.actions == [SendDigits(digits="1W2w*#AD"), SendDigits(digits="5")]
    assert ran.vars["send_digits_result"] == "success"


@pytest.mark.parametrize("digits", ["''", "12a", "1 2", "x", "'" + "1" * 257 + "'"])
def test_what_no_phone_has_a_key_for_is_not_sent(drive: Any, digits: str) -> None:
    ran = drive(f"- send_digits: {{digits: {digits}}}\n- answer")
    assert ran.names == ["answer"]
    assert ran.vars["send_digits_result"] == "failed"


def test_digits_that_could_not_be_sent_say_why(drive: Any) -> None:
    failed = DigitsDone(ok=False, sentence="The far end takes no digits.")
    ran = drive("- send_digits: '5'", results={SendDigits: [failed]})
    assert ran.vars["send_digits_result"] == "failed"
    assert ran.warnings[0].message == "send_digits: The far end takes no digits."


def test_denoise_says_what_it_came_to(drive: Any) -> None:
    ran = drive("- denoise: {}\n- stop_denoise")
    assert ran.actions == [Denoise(on=True), Denoise(on=False)]
    assert ran.vars["denoise_result"] == "off"
    failed = DenoiseDone(state="failed", sentence="There is no engine for noise suppression.")
    ran = drive("- denoise: {}", results={Denoise: [failed]})
    assert ran.vars["denoise_result"] == "failed"
    assert ran.vars["script_error"] == "relay_script_method_execute_failed"


def test_answer_takes_codecs_and_says_that_credentials_have_no_effect(drive: Any) -> None:
    ran = drive("- answer: {codecs: 'opus, FOO, PCMU', username: u, password: p}")
    (answer,) = ran.actions
    assert [wish.name for wish in answer.codecs] == ["OPUS", "PCMU"]
    assert [warning.message for warning in ran.warnings] == [
        "answer: `username` has no effect on a call that came in",
        "answer: `password` has no effect on a call that came in",
        'answer: the codec "FOO" is unknown and left out; known are '
        "AMR-WB, G722, G729, H264, L16, OPUS, PCMA, PCMU, VP8",
    ]
