"""The options of a connect (swml.md 7.5 to 7.11): what reaches the plan, and what is said of the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cordboard.call.actions import ConnectDone
from cordboard.call.codec_wish import CodecWish
from cordboard.call.plan import Confirm, Destination, PlayItem, Ringback
from cordboard.swml.document import load
from cordboard.swml.lint import lint as findings_in

B1, B2 = "sip:b1@h;transport=tls", "sip:b2@h;transport=tls"
PHONE = "+15551234567"


def connect(drive: Any, argument: Any, **options: Any) -> Any:
    return drive(json.dumps({"sections": {"main": [{"connect": argument}]}}), **options)


def destinations(ran: Any) -> list[Destination]:
    return [destination for group in ran.plan.groups for destination in group]


def only(ran: Any) -> Destination:
    (destination,) = destinations(ran)
    return destination


# ------------------------------------------------------------------ what reaches the plan


def test_every_option_of_a_sip_destination_reaches_the_plan(drive: Any) -> None:
    ran = connect(
        drive,
        {
            "to": B1,
            "from": "+15550001",
            "from_name": "Support Team",
            "headers": [{"name": "X-A", "value": "1"}],
            "codecs": "PCMA, OPUS@16000H@20I",
            "encryption": "mandatory",
            "session_timeout": 120,
            "username": "u",
            "password": "p",
            "timeout": 20,
        },
    )
    assert only(ran) == Destination(
        kind="sip",
        to=B1,
        from_="+15550001",
        from_name="Support Team",
        headers=(("X-A", "1"),),
        codecs=(CodecWish(name="PCMA"), CodecWish(name="OPUS", rate=16000, ptime_ms=20)),
        encryption="mandatory",
        session_timeout=120,
        username="u",
        password="p",
        timeout=20.0,
    )
    assert ran.warnings == []


def test_what_is_not_given_is_left_to_the_server(drive: Any) -> None:
    assert only(connect(drive, {"to": B1})) == Destination(kind="sip", to=B1)


def test_a_phone_number_gets_none_of_the_options_of_sip(drive: Any) -> None:
    options = {
        "from": "+15550001",
        "from_name": "X",
        "headers": [{"name": "X-A", "value": "1"}],
        "codecs": "OPUS",
        "encryption": "mandatory",
        "webrtc_media": True,
        "session_timeout": 300,
        "username": "u",
        "password": "p",
    }
    ran = connect(drive, {"to": PHONE, **options})
    assert only(ran) == Destination(kind="phone", to=PHONE, from_="+15550001")
    assert ran.warnings == []


def test_each_option_of_a_destination_overrides_the_top_on_its_own(drive: Any) -> None:
    top = {
        "from": "+15551000001",
        "from_name": "Support Team",
        "codecs": "PCMA",
        "encryption": "forbidden",
        "session_timeout": 600,
        "username": "u",
        "password": "p",
        "confirm": "http://h/confirm",
        "confirm_timeout": 9,
        "headers": [{"name": "X-A", "value": "1"}],
    }
    own = {
        "from_name": "Billing Dept",
        "codecs": "PCMU",
        "encryption": "optional",
        "session_timeout": 90,
        "username": "v",
        "confirm_timeout": 4,
        "headers": [{"name": "X-B", "value": "2"}],
    }
    ran = connect(drive, {**top, "serial": [{"to": B1}, {"to": B2, **own}, B1]})
    first, second, third = destinations(ran)
    assert first == third
    assert (first.from_, second.from_) == ("+15551000001", "+15551000001")
    assert (first.from_name, second.from_name) == ("Support Team", "Billing Dept")
    assert ([w.name for w in first.codecs], [w.name for w in second.codecs]) == (["PCMA"], ["PCMU"])
    assert (first.encryption, second.encryption) == ("forbidden", "optional")
    assert (first.session_timeout, second.session_timeout) == (600, 90)
    assert (first.username, first.password) == ("u", "p")
    assert (second.username, second.password) == ("v", "p")
    assert (first.headers, second.headers) == ((("X-A", "1"),), (("X-B", "2"),))
    assert first.confirm == Confirm(url="http://h/confirm", timeout=9.0)
    assert second.confirm == Confirm(url="http://h/confirm", timeout=4.0)


def test_max_duration_reaches_the_plan_and_is_four_hours_by_default(drive: Any) -> None:
    assert connect(drive, {"to": B1, "max_duration": 3}).plan.max_duration == 3.0
    assert connect(drive, {"to": B1}).plan.max_duration == 14_400.0


# ------------------------------------------------------------------ identity and headers


@pytest.mark.parametrize(
    ("given", "sent", "warned"),
    [
        ('Jürgen "J" O\'Neil', 'Jürgen "J" O\'Neil', False),
        ("a\r\nVia: x", "a Via: x", True),
        ("x" * 80, "x" * 70, True),
        ("  ", "", False),
        ("a\u2028b\x00", "a b", True),
    ],
)
def test_a_display_name_is_one_line_of_70_characters(drive: Any, given: str, sent: str, warned: bool) -> None:
    ran = connect(drive, {"to": B1, "from_name": given})
    assert (only(ran).from_name, bool(ran.warnings)) == (sent, warned)


@pytest.mark.parametrize(
    ("to", "dialled", "headers"),
    [
        ("sip:b@h?X-A=1&X-B=a%20b", "sip:b@h", (("X-A", "1"), ("X-B", "a b"))),
        ("sip:b@h;transport=tcp?x-low=1", "sip:b@h;transport=tcp", (("x-low", "1"),)),
        ("sip:b?c@h", "sip:b?c@h", ()),
        ("sip:h?X-A=1", "sip:h", (("X-A", "1"),)),
        ("sip:b@h?X-A", "sip:b@h", (("X-A", ""),)),
    ],
)
def test_headers_in_the_uri_become_headers_of_the_invite(
    drive: Any, to: str, dialled: str, headers: Any
) -> None:
    destination = only(connect(drive, {"to": to}))
    assert (destination.to, destination.headers) == (dialled, headers)


@pytest.mark.parametrize("to", ["sip:b@h?Via=x", "sip:b@h?X-A=a%0D%0AVia:x", "sip:b@h?Subject=Hello"])
def test_other_headers_in_the_uri_are_dropped_with_a_warning(drive: Any, to: str) -> None:
    ran = connect(drive, {"to": to})
    assert (only(ran).to, only(ran).headers) == ("sip:b@h", ())
    assert ran.codes == ["method_parameter_invalid_value"]


def test_headers_of_the_uri_come_after_those_of_the_property(drive: Any) -> None:
    ran = connect(drive, {"to": "sip:b@h?X-A=2", "headers": [{"name": "X-A", "value": "1"}]})
    assert only(ran).headers == (("X-A", "1"), ("X-A", "2"))


def test_a_header_value_is_sent_as_it_is(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "headers": [{"name": "x-FROM_NUMBER", "value": "%2B123"}]})
    assert only(ran).headers == (("x-FROM_NUMBER", "%2B123"),)


def test_more_than_64_headers_are_cut(drive: Any) -> None:
    headers = [{"name": f"X-{n}", "value": "a"} for n in range(100)]
    ran = connect(drive, {"to": B1, "headers": headers})
    assert len(only(ran).headers) == 64
    assert len(ran.warnings) == 1


@pytest.mark.parametrize("name", ["username", "password"])
@pytest.mark.parametrize("value", ["a\r\nb", "x" * 257])
def test_credentials_are_one_line(drive: Any, name: str, value: str) -> None:
    ran = connect(drive, {"serial": [{"to": B1, "username": "u", name: value}, {"to": B2}]})
    first, second = destinations(ran)
    assert first.problem is not None
    assert f"`{name}` must be one line" in first.problem
    assert value not in first.problem
    assert second.problem is None


def test_a_password_without_a_user_is_not_sent(drive: Any) -> None:
    assert only(connect(drive, {"to": B1, "password": "p"})).password is None


# ------------------------------------------------------------------ codecs, encryption, timers


def test_unknown_codecs_are_skipped_with_a_warning(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "codecs": "FOO, pcma , PCMUU, PCMU@20i"})
    assert only(ran).codecs == (CodecWish(name="PCMA"), CodecWish(name="PCMU", ptime_ms=20))
    assert [warning.message for warning in ran.warnings] == [
        'connect: the codec "FOO" is unknown and left out; known are '
        "AMR-WB, G722, G729, H264, L16, OPUS, PCMA, PCMU, VP8",
        'connect: the codec "PCMUU" is unknown and left out; did you mean `PCMU`?',
    ]


def test_known_codecs_that_cannot_be_spoken_are_left_out_with_a_warning(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "codecs": "AMR-WB,PCMU@16000h,G729,VP8,PCMU"})
    assert [warning.message for warning in ran.warnings] == [
        f'connect: the codec "{spelt}" cannot be spoken here and is left out'
        for spelt in ("AMR-WB", "PCMU@16000H")
    ]


def test_without_any_known_codec_the_connect_fails_undialled(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "codecs": "FOO"})
    assert ran.plan.groups == ()
    assert ran.vars["connect_failed_reason"] == "error"
    assert "`codecs` has no known codec" in ran.plan.problem


def test_without_any_known_codec_a_destination_of_a_list_fails_alone(drive: Any) -> None:
    ran = connect(drive, {"serial": [{"to": B1, "codecs": "FOO"}, {"to": B2}]})
    first, second = destinations(ran)
    assert first.problem is not None
    assert second.problem is None


def test_codecs_in_the_uri_win_and_are_not_dialled(drive: Any) -> None:
    ran = connect(drive, {"to": "sip:b@h;codecs=PCMA%2CPCMU;transport=tcp", "codecs": "OPUS"})
    assert only(ran).to == "sip:b@h;transport=tcp"
    assert [wish.name for wish in only(ran).codecs] == ["PCMA", "PCMU"]


@pytest.mark.parametrize(
    ("given", "sent", "codes"),
    [
        (90, 90, []),
        (89, 90, ["method_parameter_invalid_value"]),
        (1, 90, ["method_parameter_invalid_value"]),
        (0, None, []),
        (-5, None, ["method_parameter_invalid_value"]),
        (1.5, None, ["method_parameter_invalid_value"]),
        ("often", None, ["method_parameter_invalid_value"]),
        ([1], None, ["element_wrong_type"]),
        (86_401, None, ["method_parameter_invalid_value"]),
        ("600", 600, []),
    ],
)
@pytest.mark.parametrize("in_list", [False, True])
def test_a_session_timeout_that_cannot_be_used_never_keeps_a_call_from_being_made(
    drive: Any, given: Any, sent: int | None, codes: list[str], in_list: bool
) -> None:
    member = {"to": B1, "session_timeout": given}
    ran = connect(drive, {"serial": [member]} if in_list else member)
    assert (only(ran).session_timeout, only(ran).problem, ran.codes) == (sent, None, codes)


@pytest.mark.parametrize(
    ("to", "warned"),
    [
        ("sip:b@h;transport=udp", True),
        ("sip:b@h;transport=TCP", True),
        ("sip:b@h", False),
        ("sip:b@h;transport=tls", False),
        ("sips:b@h", False),
        (PHONE, False),
    ],
)
def test_keys_in_the_clear_are_warned_of(drive: Any, to: str, warned: bool) -> None:
    ran = connect(drive, {"to": to, "encryption": "mandatory"})
    assert ["can be read" in warning.message for warning in ran.warnings] == [True] * warned


def test_what_holds_for_all_destinations_is_warned_of_once(drive: Any) -> None:
    ran = connect(drive, {"session_timeout": 30, "codecs": "FOO,PCMU", "serial": [B1, B2, B1]})
    assert len(ran.warnings) == 2


def test_webrtc_media_that_forbids_encryption_contradicts_itself(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "webrtc_media": True, "encryption": "forbidden"})
    assert ran.codes == ["method_parameter_conflict"]
    assert ran.vars["connect_failed_reason"] == "error"


@pytest.mark.parametrize("name", ["timeout", "confirm_timeout"])
def test_times_over_600_seconds_are_cut(drive: Any, name: str) -> None:
    ran = connect(drive, {"to": B1, "confirm": "http://h/c", name: 601})
    destination = only(ran)
    assert destination.confirm is not None
    assert destination.confirm.timeout == 600.0
    assert f"`{name}` 601 is cut to 600 s" in ran.warnings[0].message


@pytest.mark.parametrize(
    "bad",
    [
        {"max_duration": 0},
        {"confirm_timeout": 0},
        {"confirm": "/confirm"},
        {"confirm": 5},
        {"confirm": {"play": "say:x"}},
        {"encryption": "required"},
        {"ringback": 5},
        {"ringback": {"urls": "x"}},
        {"transfer_after_bridge": "main"},
        {"transfer_after_bridge": ["http://h"]},
        {"transfer_after_bridge": '{"sections": {}}'},
        {"call_state_events": ["ending"]},
    ],
)
def test_an_option_that_cannot_be_used_dials_nobody(drive: Any, bad: Any) -> None:
    ran = connect(drive, {"to": B1, **bad})
    assert ran.plan.groups == ()
    assert next(iter(bad)) in str(ran.plan.problem)
    assert ran.vars["connect_failed_reason"] == "error"


# ------------------------------------------------------------------ ringback


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ring:us", Ringback(items=(PlayItem(kind="ring", country="us"),))),
        (
            ["https://h/a.wav", "silence:1"],
            Ringback(
                items=(PlayItem(kind="audio", url="https://h/a.wav"), PlayItem(kind="silence", duration=1.0))
            ),
        ),
        (
            {"urls": ["say:Please wait"], "volume": -6, "say_language": "de-DE", "loop": 1},
            Ringback(
                items=(PlayItem(kind="say", text="Please wait", language="de-DE"),),
                volume=-6.0,
            ),
        ),
        ({"url": "ring:uk"}, Ringback(items=(PlayItem(kind="ring", country="uk"),))),
        ([], None),
        ({}, None),
    ],
)
def test_ringback_is_a_text_a_list_or_a_play(drive: Any, given: Any, expected: Ringback | None) -> None:
    assert connect(drive, {"to": B1, "ringback": given}).plan.ringback == expected


def test_what_cannot_be_played_is_left_out_of_the_ringback(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "ringback": ["ftp://h/a", "ring:de"]})
    assert [item.country for item in ran.plan.ringback.items] == ["de"]
    assert ran.codes == ["method_execute_failed"]


def test_a_ringback_of_which_nothing_can_be_played_is_a_ring_tone(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "ringback": ["ftp://h/a"]})
    assert ran.plan.ringback.items == (PlayItem(kind="ring"),)


# ------------------------------------------------------------------ transfer_after_bridge

AFTER = "sections: {main: [{set: {after: 'yes', was: '${connect_result}'}}, {play: 'ring:us'}]}"
FAILED = ConnectDone(connected=False, failed_reason="busy")


def test_after_the_bridge_the_caller_goes_to_the_document_and_never_comes_back(drive: Any) -> None:
    ran = drive(
        f"- connect: {{to: '{B1}', transfer_after_bridge: 'http://h/after',"
        " result: {case: {connected: [{set: {result: ran}}]}}}\n- answer",
        documents={"http://h/after": AFTER},
    )
    (fetch,) = ran.fetches
    assert (fetch.url, fetch.params, fetch.vars["connect_result"]) == ("http://h/after", {}, "connected")
    assert ran.names == ["connect", "play"]
    assert (ran.vars["after"], ran.vars["was"]) == ("yes", "connected")
    assert "result" not in ran.vars


def test_after_a_failure_nothing_is_fetched_and_result_runs(drive: Any) -> None:
    ran = drive(
        f"- connect: {{to: '{B1}', transfer_after_bridge: 'http://h/after',"
        " result: {case: {failed: [{set: {result: ran}}]}}}\n- answer",
        connects=[FAILED],
    )
    assert (ran.fetches, ran.names, ran.vars["result"]) == ([], ["connect", "answer"], "ran")


@pytest.mark.parametrize(
    "document",
    [
        {"sections": {"main": [{"set": {"after": "${connect_result}"}}, "answer"]}},
        "sections:\n  main:\n    - set: {after: '${connect_result}'}\n    - answer\n",
    ],
)
def test_an_inline_document_runs_with_its_placeholders_resolved_when_it_runs(
    drive: Any, document: Any
) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    ran = connect(drive, {"to": B1, "transfer_after_bridge": text})
    assert (ran.names, ran.vars["after"]) == (["connect", "answer"], "connected")


def test_a_document_in_a_variable_is_read_before_anybody_is_dialled(drive: Any) -> None:
    step = {"connect": {"to": B1, "transfer_after_bridge": "${vars.doc}"}}
    text = json.dumps({"sections": {"main": [step]}})
    good = drive(text, vars={"doc": '{"sections": {"main": ["answer"]}}'})
    assert good.names == ["connect", "answer"]
    bad = drive(text, vars={"doc": '{"sections": {"main": ["anwser"]}}'})
    assert bad.plan.groups == ()
    assert "anwser" in bad.plan.problem


def test_a_document_that_cannot_be_had_ends_the_call(drive: Any) -> None:
    ran = connect(drive, {"to": B1, "transfer_after_bridge": "http://h/gone"})
    assert ran.vars["script_error"] == "relay_script_method_execute_failed"
    assert ran.finished.failed == "connect: `transfer_after_bridge`: http://h/gone answered 404"


# ------------------------------------------------------------------ what a checker of documents says


def lint(argument: Any) -> list[str]:
    text = json.dumps({"sections": {"main": [{"connect": argument}]}})
    return [finding.message for finding in findings_in(text, source="a")]


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"to": PHONE, "headers": []}, "connect: `headers` has no effect on a phone number"),
        ({"to": PHONE, "encryption": "mandatory"}, "connect: `encryption` has no effect on a phone number"),
        ({"serial": [{"to": PHONE, "from_name": "X"}]}, "connect: `serial[0].from_name` has no effect on"),
        ({"codecs": "PCMA", "parallel": [PHONE, PHONE]}, "connect: `codecs` has no effect on a phone number"),
        ({"to": "stream:wss://h/a", "encryption": "optional"}, "`encryption` has no effect on a stream"),
        ({"to": "queue:a", "confirm": "http://h"}, "connect: `confirm` has no effect on a queue"),
        ({"to": B1, "realtime": True}, "connect: `realtime` has no effect on a SIP URI"),
        ({"to": "sip:b@h", "encryption": "mandatory"}, "can be read unless the far end takes TLS"),
        ({"to": "sip:b@h;transport=udp", "encryption": "mandatory"}, "can be read on the way to"),
        ({"serial": [{"to": B1, "password": "p"}]}, "`serial[0].password` has no effect without `username`"),
        ({"to": B1, "password": "p"}, "`password` has no effect without `username`"),
        ({"to": B1, "confirm_timeout": 5}, "`confirm_timeout` has no effect without `confirm`"),
        ({"confirm_timeout": 5, "serial": [B1]}, "`confirm_timeout` has no effect without `confirm`"),
        (
            {"to": B1, "call_state_events": ["answered"]},
            "`call_state_events` has no effect without `call_state_url`",
        ),
        (
            {"parallel": [{"to": B1, "status_events": ["answered"]}]},
            "`parallel[0].status_events` has no effect without `call_state_url`",
        ),
    ],
)
def test_options_without_an_effect_are_found_by_lint_and_ignored_at_run_time(
    argument: Any, said: str
) -> None:
    assert any(said in message for message in lint(argument))
    quiet = load(json.dumps({"sections": {"main": [{"connect": argument}]}}), source="a").warnings
    assert not any("no effect" in finding.message for finding in quiet)


def test_options_that_matter_for_one_destination_are_not_warned_of() -> None:
    assert lint({"codecs": "PCMA", "serial": [PHONE, B1]}) == []
    assert lint({"to": "${who}", "codecs": "PCMA", "username": "u", "password": "p"}) == []
    assert lint({"password": "p", "serial": [{"to": B1, "username": "u"}, B1]}) == []
    assert lint({"confirm": "http://h/c", "serial": [{"to": B1, "confirm_timeout": 5}]}) == []
