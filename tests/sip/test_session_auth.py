"""Challenges to our requests: inside a session, its INVITE first, and outside of dialogs."""

from __future__ import annotations

import pytest

from cordboard.sip.auth import read_credentials
from cordboard.sip.credentials import Credentials
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Answered, Refused, RequestDone, ResponseReceived, SessionEnded
from cordboard.sip.message import Request
from cordboard.sip.stack import SipStack
from cordboard.testing.digest_gate import Gate
from cordboard.testing.raw_peer import RawPeer
from cordboard.testing.stack_pair import ALICE, ANSWER, BOB, OFFER
from cordboard.testing.wire import Wire

GOOD = Credentials(username="u", password="p")
URI = "sip:bob@127.0.0.2;x=1"
REFUSALS = {"WWW-Authenticate": 401, "Proxy-Authenticate": 407}


class Caller:
    """Alice, who has credentials, and one call of hers to the raw peer."""

    def __init__(self, credentials: Credentials | None = GOOD) -> None:
        self.wire = Wire()
        serial = iter(range(1, 10_000))
        self.alice = SipStack(local=ALICE, token=lambda: f"{next(serial):08x}")
        self.wire.attach(self.alice, ALICE)
        self.bob = RawPeer(self.wire, BOB)
        self.session, outputs = self.alice.invite(
            uri=URI,
            to="<sip:bob@127.0.0.2>",
            from_="<sip:alice@127.0.0.1>",
            destination=BOB,
            body=OFFER,
            headers=[("X-Order", "17")],
            credentials=credentials,
            now=0,
        )
        self.wire.put(ALICE, outputs)
        self.wire.run(0)

    @property
    def last(self) -> Request:
        """Alice's last request that is no ACK."""
        return [request for request in self.bob.requests if request.method != "ACK"][-1]

    def answers(self, status: int, *headers: tuple[str, str], body: bytes = b"") -> None:
        """Bob answers that."""
        self.bob.answer(self.last, ALICE, status, tag="b", headers=headers, body=body)
        self.wire.run(0)

    def asks(self, *challenges: tuple[str, str]) -> None:
        self.answers(REFUSALS[challenges[0][0]], *challenges)

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for _, _, event in self.wire.events]

    @property
    def ended(self) -> SessionEnded:
        (found,) = [event for _, _, event in self.wire.events if isinstance(event, SessionEnded)]
        return found

    @property
    def refused(self) -> int:
        (found,) = [event for _, _, event in self.wire.events if isinstance(event, Refused)]
        return found.status

    def is_at_rest(self) -> bool:
        self.wire.run_until_quiet()
        return not any(self.alice.counts().values()) and self.alice.defects == 0


def gate(realm: str = "r", algorithm: str = "MD5", qop: str | None = "auth", is_proxy: bool = False) -> Gate:
    serial = iter(range(1, 10_000))
    return Gate(
        realm=realm,
        passwords={"u": "p"},
        token=lambda: f"{realm}{is_proxy}{next(serial)}",
        algorithm=algorithm,
        qop=qop,
        is_proxy=is_proxy,
    )


def challenge(
    realm: str = "r", nonce: str = "n", more: str = "", name: str = "WWW-Authenticate"
) -> tuple[str, str]:
    return name, f'Digest realm="{realm}", nonce="{nonce}"{more}'


# ------------------------------------------------------------------ the INVITE


@pytest.mark.parametrize("is_proxy", [False, True])
@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-512-256"])
@pytest.mark.parametrize("qop", [None, "auth", "auth-int"])
def test_a_challenged_invite_is_acknowledged_and_sent_again_with_the_digest(
    is_proxy: bool, algorithm: str, qop: str | None
) -> None:
    call, judge = Caller(), gate(algorithm=algorithm, qop=qop, is_proxy=is_proxy)
    first = call.last
    call.asks(judge.ask())
    second = call.last
    assert call.bob.methods == ["INVITE", "ACK", "INVITE"]
    assert judge.judge(second) == "admitted"
    assert (second.call_id, second.from_.tag, second.uri) == (first.call_id, first.from_.tag, URI)
    assert second.cseq.number == first.cseq.number + 1
    assert second.branch != first.branch
    assert second.to.tag is None
    added = "Proxy-Authorization" if is_proxy else "Authorization"
    changed = ("Via", "CSeq", added)
    assert [pair for pair in second.headers if pair[0] not in changed] == [
        pair for pair in first.headers if pair[0] not in changed
    ]
    assert second.headers.get("X-Order") == "17"
    assert second.body == OFFER
    call.answers(200, body=ANSWER)
    assert call.names == ["Answered"]
    ack = call.bob.last("ACK")
    assert ack.headers.get(added) == second.headers.get(added)
    assert ack.cseq.number == second.cseq.number


def test_without_credentials_the_challenge_is_the_outcome() -> None:
    call = Caller(None)
    call.asks(challenge())
    assert (call.refused, call.ended.status) == (401, 401)
    assert call.bob.methods == ["INVITE", "ACK"]
    assert call.is_at_rest()


@pytest.mark.parametrize(("name", "status"), [("WWW-Authenticate", 401), ("Proxy-Authenticate", 407)])
def test_a_wrong_password_ends_after_one_try(name: str, status: int) -> None:
    call = Caller()
    call.asks(challenge(nonce="1", name=name))
    call.asks(challenge(nonce="2", name=name))
    assert call.bob.methods == ["INVITE", "ACK", "INVITE", "ACK"]
    assert call.refused == status
    assert call.is_at_rest()


def test_a_stale_nonce_gets_one_more_try_and_not_a_third() -> None:
    call = Caller()
    call.asks(challenge(nonce="1"))
    call.asks(challenge(nonce="2", more=", stale=TRUE"))
    call.asks(challenge(nonce="3", more=", stale=true"))
    assert call.bob.methods.count("INVITE") == 3
    assert call.refused == 401


def test_proxy_and_server_may_both_ask() -> None:
    call, proxy, server = Caller(), gate(is_proxy=True), gate()
    call.asks(proxy.ask())
    assert proxy.judge(call.last) == "admitted"
    call.asks(server.ask())
    assert proxy.judge(call.last) == "admitted"
    assert server.judge(call.last) == "admitted"
    counts = read_credentials(call.last.headers.get("Proxy-Authorization") or "")
    assert counts is not None
    assert counts.nc == 2


@pytest.mark.parametrize(
    ("id_", "credentials", "asked"),
    [
        ("29 realm", Credentials(username="u", password="p", realm="mine"), [challenge("other")]),
        ("29 second realm", GOOD, [challenge("r"), challenge("other", name="Proxy-Authenticate")]),
        ("scheme", GOOD, [("WWW-Authenticate", 'Basic realm="r"')]),
        ("algorithm", GOOD, [challenge(more=", algorithm=SHA-1")]),
        (
            "28 weaker",
            GOOD,
            [challenge(more=", algorithm=SHA-256"), challenge(nonce="2", more=", stale=true")],
        ),
    ],
)
def test_what_may_not_be_answered_is_the_outcome(
    id_: str, credentials: Credentials, asked: list[tuple[str, str]]
) -> None:
    call = Caller(credentials)
    for each in asked:
        call.asks(each)
    assert call.bob.methods.count("INVITE") == len(asked)
    assert call.refused == REFUSALS[asked[-1][0]]
    assert call.is_at_rest()


def test_of_several_challenges_the_strongest_of_our_realm_is_answered() -> None:
    call = Caller(Credentials(username="u", password="p", realm="r"))
    call.asks(
        challenge("other", more=", algorithm=SHA-512-256"),
        challenge("r", "weak"),
        challenge("r", "strong", more=', algorithm=SHA-256, qop="auth"'),
    )
    offered = read_credentials(call.last.headers.get("Authorization") or "")
    assert offered is not None
    assert (offered.realm, offered.nonce, offered.algorithm) == ("r", "strong", "SHA-256")


def test_a_call_cancelled_before_the_challenge_is_not_sent_again() -> None:
    call = Caller()
    call.wire.put(ALICE, call.alice.cancel(call.session, now=0))
    call.asks(challenge())
    assert call.bob.methods == ["INVITE", "ACK"]
    assert call.ended.cause == "cancelled"
    assert call.is_at_rest()


def test_a_call_cancelled_after_the_challenge_cancels_the_second_invite() -> None:
    call = Caller()
    call.answers(100)
    call.asks(challenge())
    call.wire.put(ALICE, call.alice.cancel(call.session, now=0))
    call.wire.run(0)
    assert "CANCEL" not in call.bob.methods
    call.answers(180)
    cancel = call.bob.last("CANCEL")
    assert cancel.branch == call.bob.last("INVITE").branch
    assert cancel.cseq.number == 2
    call.bob.answer(cancel, ALICE, 200)
    call.bob.answer(call.bob.last("INVITE"), ALICE, 487, tag="b")
    call.wire.run(0)
    assert call.ended.cause == "cancelled"
    assert call.is_at_rest()


def test_early_dialogs_of_the_first_invite_are_forgotten() -> None:
    call = Caller()
    call.answers(180)
    assert call.alice.counts()["dialogs"] == 1
    call.asks(challenge())
    assert call.alice.counts()["dialogs"] == 0
    assert call.alice.counts()["sessions"] == 1


# ------------------------------------------------------------------ inside the dialog


def connected(judge: Gate, credentials: Credentials = GOOD) -> Caller:
    call = Caller(credentials)
    call.asks(judge.ask())
    assert judge.judge(call.last) == "admitted"
    call.answers(200, body=ANSWER)
    assert any(isinstance(event, Answered) for _, _, event in call.wire.events)
    return call


@pytest.mark.parametrize("method", ["INFO", "UPDATE", "INVITE", "BYE"])
def test_requests_in_the_dialog_use_the_same_nonce_with_a_higher_count(method: str) -> None:
    judge = gate()
    call = connected(judge)
    send(call, method)
    assert call.last.method == method
    assert judge.judge(call.last) == "admitted"


@pytest.mark.parametrize("method", ["INFO", "UPDATE", "INVITE", "BYE"])
def test_a_challenged_request_in_the_dialog_is_sent_again(method: str) -> None:
    judge = gate()
    call = connected(judge)
    judge.expire()
    send(call, method)
    assert judge.judge(call.last) == "stale"
    call.asks(judge.ask(stale=True))
    assert call.last.method == method
    assert judge.judge(call.last) == "admitted"
    call.answers(200, body=ANSWER if method == "INVITE" else b"")
    if method != "BYE":
        (done,) = [event for _, _, event in call.wire.events if isinstance(event, RequestDone)]
        assert (done.method, done.response and done.response.status) == (method, 200)
        call.wire.put(ALICE, call.alice.bye(call.session, now=call.wire.now))
        call.wire.run(0)
        call.answers(200)
    assert call.is_at_rest()


@pytest.mark.parametrize("method", ["INFO", "BYE"])
def test_29_a_first_challenge_inside_the_dialog_is_answered_to_the_same_host_and_realm_only(
    method: str,
) -> None:
    call = Caller(Credentials(username="u", password="p", realm="r"))
    call.answers(200, body=ANSWER)
    send(call, method)
    call.asks(challenge("other"))
    assert call.bob.methods.count(method) == 1


def test_29_another_host_in_the_dialog_gets_no_credentials() -> None:
    call = Caller()
    stranger = RawPeer(call.wire, Endpoint("UDP", "127.0.0.9", 5060))
    call.bob.answer(call.last, ALICE, 200, tag="b", headers=(("Record-Route", "<sip:127.0.0.9;lr>"),))
    call.wire.run(0)
    send(call, "INFO")
    stranger.answer(stranger.last("INFO"), ALICE, 401, headers=(challenge(),))
    call.wire.run(0)
    assert stranger.methods == ["ACK", "INFO"]
    assert "Authorization" not in stranger.last("INFO").headers


def send(call: Caller, method: str) -> None:
    alice, now = call.alice, call.wire.now
    if method == "BYE":
        outputs = alice.bye(call.session, now=now)
    elif method == "INVITE":
        outputs = alice.reinvite(call.session, OFFER, now)
    else:
        outputs = alice.request(call.session, method, now=now)
    call.wire.put(ALICE, outputs)
    call.wire.run(0)


# ------------------------------------------------------------------ outside of dialogs


def outside(credentials: Credentials | None = GOOD) -> tuple[Caller, str]:
    call = Caller(None)
    call.answers(486)
    call.wire.events.clear()
    request_id, outputs = call.alice.send(
        "REGISTER",
        uri="sip:127.0.0.2",
        to="<sip:u@127.0.0.2>",
        from_="<sip:u@127.0.0.2>",
        destination=BOB,
        headers=[("Contact", "<sip:u@127.0.0.1>"), ("Expires", "60")],
        credentials=credentials,
        call_id="registration",
        cseq=7,
        now=0,
    )
    call.wire.put(ALICE, outputs)
    call.wire.run(0)
    return call, request_id


def responses(call: Caller) -> list[tuple[str, int, str]]:
    return [(e.id, e.status, e.cause) for _, _, e in call.wire.events if isinstance(e, ResponseReceived)]


def test_a_request_outside_a_dialog_is_answered_once() -> None:
    call, request_id = outside()
    request = call.last
    assert (request.method, request.call_id, request.cseq.number) == ("REGISTER", "registration", 7)
    assert request.headers.get("Expires") == "60"
    call.answers(100)
    call.answers(200)
    call.answers(200)
    assert responses(call) == [(request_id, 200, "response")]
    assert call.is_at_rest()


def test_a_challenged_registration_is_sent_again() -> None:
    call, request_id = outside()
    judge = gate()
    call.asks(judge.ask())
    assert judge.judge(call.last) == "admitted"
    assert (call.last.call_id, call.last.cseq.number) == ("registration", 8)
    call.answers(200)
    assert responses(call) == [(request_id, 200, "response")]


@pytest.mark.parametrize("credentials", [None, GOOD])
def test_a_registration_that_stays_refused_is_told_so(credentials: Credentials | None) -> None:
    call, request_id = outside(credentials)
    call.asks(challenge())
    if credentials:
        call.asks(challenge(nonce="2"))
    assert responses(call) == [(request_id, 401, "response")]
    assert call.is_at_rest()


def test_silence_and_a_dead_transport_are_told() -> None:
    call, request_id = outside()
    call.wire.put(ALICE, call.alice.transport_failed(BOB, now=0))
    assert responses(call) == [(request_id, 503, "transport")]
    call, request_id = outside()
    call.wire.run_until_quiet()
    assert responses(call) == [(request_id, 408, "timeout")]
