"""SRTP with SDES keys: our policy against what the far end offers and answers, on either side of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cordboard.call.facts import LegAnswered
from cordboard.call.plan import Destination
from cordboard.legs.outputs import CallRefused, Target, Terms
from cordboard.sdp import PCMU, answer_offer, make_offer, parse
from cordboard.sdp.crypto import KEY_LENGTHS
from cordboard.sip.events import InviteReceived

from .leg_bench import BOB, CALLED, FAR, LegBench, far_answer, far_offer
from .offering import FAR_KEY, called_by, far_keys, keyed, offer_to, offered, remote, sip

# ---------------------------------------------------------------- encryption of calls that we make

_SECURED = make_offer(
    address=FAR.address,
    port=4000,
    codecs=(PCMU,),
    session_id=9,
    crypto=far_keys(),
    profile="RTP/SAVP",
)
ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": far_answer,
    "secure": lambda body: _far_answer(body, "mandatory"),
    "either": lambda body: _far_answer(body, "optional"),
}


def _far_answer(body: bytes, encryption: str) -> bytes:
    return answer_offer(
        parse(body),
        address=FAR.address,
        port=4000,
        codecs=(PCMU,),
        session_id=9,
        encryption=encryption,
        new_key=lambda length: FAR_KEY[:length],
    ).body


@pytest.mark.parametrize("two_lines", [False, True])
@pytest.mark.parametrize(
    ("mode", "far_end", "outcome"),
    [
        ("mandatory", "secure", "srtp"),
        ("mandatory", "either", "srtp"),
        ("optional", "secure", "srtp"),
        ("optional", "either", "srtp"),
        ("optional", "plain", "rtp"),
        ("forbidden", "either", "rtp"),
        ("forbidden", "plain", "rtp"),
    ],
)
def test_a_callee_gets_srtp_where_both_have_it(
    mode: str, far_end: str, outcome: str, two_lines: bool
) -> None:
    bench = LegBench(rules=keyed(encryption="forbidden"))
    terms = Terms(trunk="t", two_media_lines=two_lines)
    offered(bench, sip(encryption=mode), terms=terms)
    offer = bench.received(InviteReceived).request.body
    bench.far_accepts(bench.invited(), ANSWERS[far_end](offer))
    assert bench.facts(CALLED)[-1] == LegAnswered()
    srtp = remote(bench, CALLED).srtp
    assert (srtp is not None) is (outcome == "srtp")
    if srtp is not None:
        assert srtp.receive.key == FAR_KEY[: len(srtp.receive.key)]
        assert srtp.send.suite == srtp.receive.suite
        assert srtp.send.key[:1] * len(srtp.send.key) == srtp.send.key


@pytest.mark.parametrize(
    ("mode", "lines"),
    [
        ("mandatory", [("RTP/SAVP", True)]),
        ("optional", [("RTP/AVP", True)]),
        ("forbidden", [("RTP/AVP", False)]),
    ],
)
def test_one_line_is_offered(mode: str, lines: list[tuple[str, bool]]) -> None:
    sections = offer_to(sip(encryption=mode), keyed()).media
    assert [(one.protocol, one.attribute("crypto") is not None) for one in sections] == lines


def test_a_trunk_may_want_two_lines() -> None:
    terms = Terms(trunk="t", encryption="optional", two_media_lines=True)
    sections = offer_to(Destination(kind="phone", to="+15551234567"), keyed(), terms=terms).media
    found = [(one.protocol, one.attribute("crypto") is not None) for one in sections]
    assert found == [("RTP/SAVP", True), ("RTP/AVP", False)]


def test_optional_is_what_is_offered_where_nobody_says_anything() -> None:
    [audio] = offer_to(sip(), keyed()).media
    suites = [line.split()[1] for line in audio.all("crypto")]
    assert len(suites) == 5
    assert {"AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM_8"} <= set(suites)


@pytest.mark.parametrize(
    ("mode", "answer", "cause"),
    [
        ("mandatory", lambda body: body.replace(b"RTP/SAVP", b"RTP/AVP"), "encryption_refused"),
        ("forbidden", lambda body: _SECURED, "encryption_forbidden"),
    ],
)
def test_an_answer_against_the_policy_is_acknowledged_and_hung_up(mode: str, answer: Any, cause: str) -> None:
    bench = LegBench(rules=keyed())
    offered(bench, sip(encryption=mode))
    body = bench.received(InviteReceived).request.body
    plain = b"\r\n".join(line for line in body.split(b"\r\n") if not line.startswith(b"a=crypto"))
    bench.far_accepts(bench.invited(), answer(plain).replace(b"10000", b"4000"))
    assert bench.sent() == ["INVITE", "ACK", "BYE"]
    assert bench.ending(CALLED).cause == cause
    assert "SRTP" in bench.ending(CALLED).sentence
    assert bench.media_orders(CALLED) == []


def test_no_key_is_in_the_text_of_what_goes_to_logs() -> None:
    bench = LegBench(rules=keyed())
    offered(bench, sip(encryption="mandatory"))
    bench.far_accepts(bench.invited(), _far_answer(bench.received(InviteReceived).request.body, "mandatory"))
    settled = bench.legs._legs[CALLED].media.settled
    assert settled is not None
    assert settled.crypto is not None
    assert repr(FAR_KEY[:20])[2:-1] not in repr(settled)


# ---------------------------------------------------------------- encryption of calls that come in


def secure_offer(
    profile: str = "RTP/SAVP", suite: str = "AES_CM_128_HMAC_SHA1_80", version: int = 1
) -> bytes:
    return make_offer(
        address=FAR.address,
        port=4000,
        codecs=(PCMU,),
        session_id=9,
        version=version,
        crypto=far_keys(suite),
        profile=profile,
    )


@pytest.mark.parametrize("suite", sorted(KEY_LENGTHS))
def test_a_secure_caller_is_answered_in_his_suite(suite: str) -> None:
    bench = LegBench(rules=keyed())
    order = remote(bench, called_by(bench, secure_offer(suite=suite)))
    assert order.srtp is not None
    assert (order.srtp.send.suite, order.srtp.receive.suite) == (suite, suite)
    assert order.srtp.receive.key == FAR_KEY[: KEY_LENGTHS[suite]]
    assert len(order.srtp.send.key) == KEY_LENGTHS[suite]
    assert parse(bench.last_sent("200").body).media[0].protocol == "RTP/SAVP"


@pytest.mark.parametrize(
    ("policy", "body", "secure"),
    [
        ("optional", secure_offer("RTP/AVP"), True),
        ("mandatory", secure_offer("RTP/AVP"), True),
        ("forbidden", secure_offer("RTP/AVP"), False),
        ("optional", secure_offer("both"), True),
        ("mandatory", secure_offer("both"), True),
        ("forbidden", secure_offer("both"), False),
        ("optional", far_offer(PCMU), False),
        ("forbidden", far_offer(PCMU), False),
        ("mandatory", secure_offer(), True),
    ],
)
def test_a_caller_gets_srtp_where_both_have_it(policy: str, body: bytes, secure: bool) -> None:
    bench = LegBench(rules=keyed(encryption=policy))
    order = remote(bench, called_by(bench, body))
    assert (order.srtp is not None) is secure
    audible = [section for section in parse(bench.last_sent("200").body).media if section.port]
    assert len(audible) == 1


@pytest.mark.parametrize(
    ("policy", "body", "cause"),
    [
        ("mandatory", far_offer(PCMU), "encryption_not_offered"),
        ("forbidden", secure_offer(), "encryption_forbidden"),
        (
            "optional",
            secure_offer().replace(b"AES_CM_128_HMAC_SHA1_80", b"F8_128_HMAC_SHA1_80"),
            "encryption_not_offered",
        ),
    ],
)
def test_a_caller_against_the_policy_gets_488_and_the_log_says_why(
    policy: str, body: bytes, cause: str
) -> None:
    bench = LegBench(rules=keyed(encryption=policy))
    bench.call_in(body)
    [refused] = bench.all_told(CallRefused)
    assert (refused.status, refused.ending.cause) == (488, cause)


def test_a_late_offer_to_a_caller_has_keys() -> None:
    bench = LegBench(rules=keyed(encryption="mandatory"))
    called_by(bench, b"")
    assert parse(bench.last_sent("200").body).media[0].protocol == "RTP/SAVP"


def test_a_reinvite_with_another_key_changes_ours_and_one_with_the_same_does_not() -> None:
    bench = LegBench(rules=keyed())
    call_id, session = bench.answered_call_in(secure_offer())
    keys = [remote(bench, call_id).srtp]
    for version, offer in (
        (2, secure_offer(version=2)),
        (3, secure_offer(version=3, suite="AES_256_CM_HMAC_SHA1_80")),
    ):
        assert bench.far_reinvites(session, offer).status == 200, version
        keys.append(remote(bench, call_id).srtp)
    assert keys[0] == keys[1]
    assert keys[2] is not None
    assert keys[1] is not None
    assert keys[2].send != keys[1].send


def test_a_secure_call_cannot_be_made_plain_where_encryption_is_demanded() -> None:
    bench = LegBench(rules=keyed(encryption="mandatory"))
    call_id, session = bench.answered_call_in(secure_offer())
    assert bench.far_reinvites(session, far_offer(PCMU, version=2)).status == 488
    assert remote(bench, call_id).srtp is not None


def test_keys_of_an_offer_are_new_in_each_attempt() -> None:
    bench = LegBench(rules=keyed())
    bench.dial(destination=sip())
    bench.open_media(CALLED)
    bench.route(*[Target(request_uri=BOB, endpoint=FAR)] * 2)
    bench.run()
    first = bench.received(InviteReceived).request.body
    bench.put(bench.far.reject(bench.invited(), status=503, now=bench.now))
    bench.run()
    second = bench.received(InviteReceived).request.body
    assert set(parse(first).media[0].all("crypto")).isdisjoint(parse(second).media[0].all("crypto"))
