"""`devices` of dial, begin and connect become the groups of a plan."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cordboard.call.actions import Connect
from cordboard.call.codec_wish import CodecWish
from cordboard.call.plan import ConnectPlan, Destination, PlayItem, Ringback
from cordboard.relay.methods import read
from cordboard.relay.requests import BeginRequest, CallCommand, DialRequest, Refusal

BOB = {"type": "sip", "params": {"to": "sip:bob@b.example"}}
PHONE = {"type": "phone", "params": {"to_number": "+15552220002", "from_number": "+15551110001"}}


def connect(devices: Any, **params: Any) -> ConnectPlan:
    request = read("calling.connect", {"call_id": "a", "node_id": "n", "devices": devices, **params})
    assert isinstance(request, CallCommand), request
    assert isinstance(request.command, Connect)
    return request.command.plan


def dial(devices: Any, **params: Any) -> DialRequest:
    request = read("calling.dial", {"tag": "t", "devices": devices, **params})
    assert isinstance(request, DialRequest), request
    return request


def refused(method: str = "calling.connect", *, code: str = "400", **params: Any) -> str:
    request = read(method, {"call_id": "a", "tag": "t", **params})
    assert isinstance(request, Refusal), request
    assert request.code == code
    return request.message.removeprefix(method + ": ")


def sip(**params: Any) -> dict[str, Any]:
    return {"type": "sip", "params": {"to": "sip:bob@b.example", **params}}


def only(plan: ConnectPlan) -> Destination:
    assert [len(group) for group in plan.groups] == [1]
    return plan.groups[0][0]


def test_the_outer_list_is_tried_in_turn_and_the_inner_rings_at_once() -> None:
    plan = connect([[PHONE], [BOB, PHONE], [BOB]])
    kinds = [[destination.kind for destination in group] for group in plan.groups]
    assert kinds == [["phone"], ["sip", "phone"], ["sip"]]


def test_a_device_in_the_outer_list_is_a_group_of_its_own_and_empty_groups_are_none() -> None:
    plan = connect([PHONE, [], [BOB]])
    assert [len(group) for group in plan.groups] == [1, 1]


def test_a_phone_with_everything() -> None:
    params = {
        "to_number": "+15552220002",
        "from_number": "+15551110001",
        "timeout": 20,
        "max_duration": 300,
        "call_state_url": "http://u:p@127.0.0.1:1/s",
        "call_state_events": ["created", "ended"],
        "status_url": "https://x.example/s",
    }
    device = {"type": "phone", "params": params}
    shown = {"type": "phone", "params": params | {"call_state_url": "http://127.0.0.1:1/s"}}
    assert only(connect([[device]], tag="t", max_price_per_minute=0.0075)) == Destination(
        kind="phone",
        to="+15552220002",
        from_="+15551110001",
        timeout=20.0,
        max_duration=300.0,
        call_state_url="http://u:p@127.0.0.1:1/s",
        call_state_events=frozenset({"created", "ended"}),
        status_url="https://x.example/s",
        max_price_per_minute=0.0075,
        tag="t",
        device=shown,
    )


def test_a_sip_device_with_everything() -> None:
    params = {
        "from": "sips:user1@domain.com",
        "to": "sip:user2@domain.com;transport=tls",
        "from_name": "Bob\r\nB",
        "timeout": 30,
        "max_duration": 5,
        "headers": [{"name": "X-A", "value": "1"}],
        "codecs": ["OPUS", "PCMU"],
        "webrtc_media": False,
        "session_timeout": 120,
        "encryption": "mandatory",
        "username": "u",
        "call_state_url": "http://127.0.0.1:1/s",
        "call_state_events": ["ended"],
    }
    device = {"type": "sip", "params": {**params, "password": "secret", "strange": {"x": [1]}}}
    found = only(connect([[device]]))
    assert found == Destination(
        kind="sip",
        to="sip:user2@domain.com;transport=tls",
        from_="sips:user1@domain.com",
        from_name="Bob B",
        timeout=30.0,
        max_duration=5.0,
        headers=(("X-A", "1"),),
        codecs=(CodecWish(name="OPUS"), CodecWish(name="PCMU")),
        encryption="mandatory",
        session_timeout=120,
        username="u",
        password="secret",
        call_state_url="http://127.0.0.1:1/s",
        device={"type": "sip", "params": params},
    )


def test_what_is_not_said_has_the_usual_value() -> None:
    assert only(connect([[BOB]])) == Destination(kind="sip", to="sip:bob@b.example", timeout=60.0, device=BOB)


@pytest.mark.parametrize(
    ("params", "changes"),
    [
        ({"to": "bob@b.example"}, {"to": "sip:bob@b.example"}),
        ({"to": "sip:b@h?X-A=1&Subject=x"}, {"to": "sip:b@h", "headers": (("X-A", "1"),)}),
        ({"to": "sip:b@h;codecs=PCMA"}, {"to": "sip:b@h", "codecs": (CodecWish(name="PCMA"),)}),
        ({"codecs": "PCMA, nonsense"}, {"codecs": (CodecWish(name="PCMA"),)}),
        ({"codecs": []}, {}),
        ({"session_timeout": 0}, {}),
        ({"session_timeout": 30}, {"session_timeout": 90}),
        ({"session_timeout": 1_000_000}, {}),
        ({"from": "+15551110001"}, {"from_": "+15551110001"}),
        ({"from": "alice@a.example"}, {"from_": "sip:alice@a.example"}),
        ({"from": " "}, {}),
        ({"timeout": 5_000}, {"timeout": 600.0}),
        ({"timeout": "7"}, {"timeout": 7.0}),
        ({"call_state_events": []}, {"call_state_events": frozenset()}),
        ({"status_events": ["ringing"]}, {"call_state_events": frozenset({"ringing"})}),
        ({"password": "p"}, {}),
        ({"username": "u"}, {"username": "u", "password": ""}),
        ({"encryption": "Optional"}, {"encryption": "optional"}),
    ],
)
def test_a_parameter_of_a_sip_device(params: dict[str, Any], changes: dict[str, Any]) -> None:
    found = msgspec.structs.replace(only(connect([[sip(**params)]])), device=None)
    plain = Destination(kind="sip", to="sip:bob@b.example", timeout=60.0)
    assert found == msgspec.structs.replace(plain, **changes)


def test_a_password_is_never_in_what_events_show() -> None:
    found = only(connect([[sip(username="u", password="secret", timeout=10**30)]]))
    assert found.device == {"type": "sip", "params": {"to": "sip:bob@b.example", "username": "u"}}


@pytest.mark.parametrize("name", ["from", "to"])
def test_the_password_of_a_uri_is_not_shown_either(name: str) -> None:
    found = only(connect([[sip(**{name: "sip:bob:secret@b.example"})]]))
    assert found.device is not None
    assert found.device["params"][name] == "sip:bob@b.example"


MISTAKES = [
    ({"password": 12345}, "`devices[0][0].params.password` must be one line of at most 256 characters."),
    ({"to": "sip:"}, '`devices[0][0].params.to` must be a SIP URI (sip:user@host), not "sip:".'),
    ({"to": None}, "`devices[0][0].params.to` is required: a string that is not empty."),
    (
        {"from": "a b"},
        "`devices[0][0].params.from` must be a SIP URI (sip:user@host), a number or a name without spaces, "
        'not "a b".',
    ),
    (
        {"headers": [{"name": "Subject", "value": "x"}]},
        '`devices[0][0].params.headers[0].name`, "Subject", cannot be sent: only X- headers of one line can.',
    ),
    (
        {"headers": [{"name": "X-A", "value": "a\r\nVia: b"}]},
        '`devices[0][0].params.headers[0].name`, "X-A", cannot be sent: only X- headers of one line can.',
    ),
    (
        {"codecs": ["PCMX"]},
        '`devices[0][0].params.codecs` has no known codec, found "PCMX"; did you mean `PCMU`?',
    ),
    (
        {"encryption": "mandatry"},
        "`devices[0][0].params.encryption` must be one of mandatory, optional, forbidden, "
        'not "mandatry"; did you mean `mandatory`?',
    ),
    (
        {"call_state_events": ["ringin"]},
        "`devices[0][0].params.call_state_events[0]` must be one of created, ringing, answered, ended, "
        'not "ringin"; did you mean `ringing`?',
    ),
    (
        {"call_state_url": "ftp://x"},
        '`devices[0][0].params.call_state_url` must be an http(s) URL, not "ftp://x".',
    ),
    ({"timeout": 0}, "`devices[0][0].params.timeout` must be a number of at least 1, not the number 0."),
    (
        {"webrtc_media": "yes"},
        '`devices[0][0].params.webrtc_media` must be true or false, not "yes".',
    ),
    ({"username": "a\nb"}, "`devices[0][0].params.username` must be one line of at most 256 characters."),
]


@pytest.mark.parametrize(("params", "sentence"), MISTAKES)
def test_a_mistake_in_the_only_device_refuses_the_request(params: dict[str, Any], sentence: str) -> None:
    assert refused(devices=[[sip(**params)]]) == sentence


@pytest.mark.parametrize(("params", "sentence"), MISTAKES)
def test_a_mistake_in_one_of_several_spoils_only_that_one(params: dict[str, Any], sentence: str) -> None:
    plan = connect([[sip(**params)], [BOB]], tag="t")
    wrong, right = plan.groups[0][0], plan.groups[1][0]
    assert wrong.problem == "calling.connect: " + sentence
    assert (wrong.tag, right.tag, right.problem) == ("t", "t", None)


@pytest.mark.parametrize(
    ("device", "problem"),
    [
        (
            {"type": "phone", "params": {"to_number": "+1busy"}},
            "calling.connect: `devices[0][0].params.to_number` must be an E.164 number (as +15551234567), "
            'not "+1busy".',
        ),
        (
            {"type": "phone", "params": {"to_number": "+1555", "from_number": "alice"}},
            "calling.connect: `devices[0][0].params.from_number` must be an E.164 number (as +15551234567), "
            'not "alice".',
        ),
    ],
)
def test_what_cannot_be_dialled_fails_undialled(device: dict[str, Any], problem: str) -> None:
    assert only(connect([[device]])).problem == problem


@pytest.mark.parametrize("method", ["calling.connect", "calling.dial", "calling.begin"])
def test_what_is_not_built_is_named_in_the_refusal_of_the_only_device(method: str) -> None:
    device = sip(webrtc_media=True)
    given = {"device": device} if method == "calling.begin" else {"devices": [[device]]}
    sentence = refused(method, code="501", **given)
    assert sentence.endswith("is true, and WebRTC media are not built into this server: leave it out.")


def test_what_is_not_built_spoils_one_device_of_several_only() -> None:
    plan = connect([[sip(webrtc_media=True), BOB]])
    wrong, right = plan.groups[0]
    assert "WebRTC media are not built" in (wrong.problem or "")
    assert right.problem is None


@pytest.mark.parametrize(
    ("devices", "sentence"),
    [
        (None, "`devices` is required: a list of lists of devices, at least one."),
        ([[], []], "`devices` is required: a list of lists of devices, at least one."),
        ({}, "`devices` must be a list, not a mapping."),
        (["sip:a@b"], '`devices[0]` must be a list of devices, not "sip:a@b".'),
        ([["sip:a@b"], [BOB]], '`devices[0][0]` must be an object, not "sip:a@b".'),
        ([[{"params": {}}], [BOB]], "`devices[0][0].type` is required: one of phone, sip."),
        (
            [[BOB], [{"type": "stream", "params": {}}]],
            '`devices[1][0].type` is "stream", which cannot be dialled here: phone and sip can.',
        ),
        (
            [[BOB], [{"type": "phon", "params": {}}]],
            '`devices[1][0].type` must be one of phone, sip, not "phon"; did you mean `phone`?',
        ),
        ([[BOB] * 11], "`devices` has 11 devices at once, at most 10 are possible."),
        ([[BOB]] * 51, "`devices` has 51 devices, at most 50 are possible."),
    ],
)
def test_a_mistake_in_the_whole_refuses_it(devices: Any, sentence: str) -> None:
    assert refused(devices=devices) == sentence
    assert refused("calling.dial", devices=devices) == sentence


def test_ten_at_once_and_fifty_in_all_are_possible() -> None:
    assert [len(group) for group in connect([[BOB] * 10] * 5).groups] == [10] * 5


# ------------------------------------------------------------ what holds for the whole


def test_a_connect_with_everything() -> None:
    plan = connect(
        [[BOB]],
        tag="t",
        ringback=[{"type": "ringtone", "params": {"name": "us", "duration": 5}}],
        max_duration=120,
        status_url="https://x.example/s",
        _devices=[[{"type": "sip"}]],
    )
    assert plan.ringback == Ringback(items=(PlayItem(kind="ring", country="us", duration=5.0),))
    assert (plan.max_duration, plan.status_url, plan.answer_on_bridge) == (120.0, "https://x.example/s", True)
    assert only(plan).max_duration is None


def test_an_empty_ringback_is_none() -> None:
    assert connect([[BOB]], ringback=[]).ringback is None


@pytest.mark.parametrize("price", [0, 0.0075, 1, 12.5, "0.01", 1e-4])
def test_a_price_with_four_decimals_holds_for_every_device(price: Any) -> None:
    plan = connect([[BOB, PHONE], [PHONE]], max_price_per_minute=price)
    prices = {destination.max_price_per_minute for group in plan.groups for destination in group}
    assert prices == {float(price)}


@pytest.mark.parametrize(
    ("price", "allowed"),
    [
        (0.00751, "a number with at most 4 decimals, not the number 0.00751."),
        (1e-5, "a number with at most 4 decimals, not the number 1e-05."),
        (-0.01, "a number from 0 to 1e+06, not the number -0.01."),
        (True, "a number from 0 to 1e+06, not true."),
    ],
)
def test_a_price_is_not_negative_and_has_at_most_four_decimals(price: Any, allowed: str) -> None:
    assert refused(devices=[[BOB]], max_price_per_minute=price) == f"`max_price_per_minute` must be {allowed}"


def test_a_dial_names_its_tag_and_its_longest_duration() -> None:
    request = dial([[BOB], [sip(max_duration=5)]], max_duration=10, node_id="n", region="us")
    assert (request.tag, request.node_id, request.max_duration) == ("t", "n", 10.0)
    assert [group[0].max_duration for group in request.plan.groups] == [10.0, 5.0]
    assert {group[0].tag for group in request.plan.groups} == {"t"}


def test_a_dial_without_tag_is_refused() -> None:
    assert refused("calling.dial", tag=None, devices=[[BOB]]) == (
        "`tag` is required: a string that is not empty."
    )


def test_a_begin_dials_one_device() -> None:
    request = read("calling.begin", {"tag": "t", "device": PHONE})
    assert isinstance(request, BeginRequest)
    assert (request.tag, only(request.plan).to, only(request.plan).tag) == ("t", "+15552220002", "t")


def test_a_mistake_in_the_device_of_a_begin_refuses_it() -> None:
    device = {"type": "sip", "params": {"to": "sip:"}}
    sentence = '`device.params.to` must be a SIP URI (sip:user@host), not "sip:".'
    assert refused("calling.begin", device=device) == sentence
    wrong = {"type": "phone", "params": {"to_number": "busy"}}
    assert refused("calling.begin", device=wrong).startswith(
        "`device.params.to_number` must be an E.164 number"
    )
    assert refused("calling.begin") == "`device` is required: an object."
