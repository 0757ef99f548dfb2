"""REFER in a dialog: what is asked for, what is answered, what the sender is told afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.call.effects import ReportTransfer
from cordboard.call.facts import TransferRequested
from cordboard.call.plan import Destination
from cordboard.legs.refer import BadRefer, Replaced, read_refer, read_replaces
from cordboard.legs.rules import LegRules
from cordboard.sip.events import RequestDone, RequestReceived
from cordboard.sip.message import Request, Response

from .leg_bench import CALLED, FAR, LegBench

OUR_HOSTS = frozenset({"pbx.example.com", "127.0.0.1"})


class Up:
    """A call that is up, whose far end may transfer."""

    def __init__(self, rules: LegRules | None = None) -> None:
        self.bench = LegBench(rules=rules or LegRules())
        self.call_id, self.session = self.bench.answered_call_in()

    def refer(self, *targets: str, **headers: str) -> Response:
        """The response to a REFER of the far end."""
        bench = self.bench
        fields = [("Refer-To", target) for target in targets]
        fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
        bench.put(bench.far.request(self.session, "REFER", headers=fields, now=bench.now))
        bench.run()
        done = [e for _, where, e in bench.wire.events if where == FAR and isinstance(e, RequestDone)]
        [response] = [event.response for event in done if event.method == "REFER"][-1:]
        assert response is not None
        return response

    def wanted(self) -> list[TransferRequested]:
        return [fact for fact in self.bench.facts(self.call_id) if isinstance(fact, TransferRequested)]

    def notifies(self) -> list[Request]:
        """All that arrived at the far end; each is answered."""
        found = []
        for _, where, event in self.bench.wire.events:
            if where == FAR and isinstance(event, RequestReceived) and event.request.method == "NOTIFY":
                found.append(event.request)
                self.bench.put(self.bench.far.respond(event.transaction, 200, now=self.bench.now))
        self.bench.run()
        return found

    def told(self) -> list[tuple[str, str]]:
        """(status line, subscription state) of each NOTIFY."""
        return [
            (request.body.decode().strip(), request.headers.get("Subscription-State") or "")
            for request in self.notifies()
        ]

    def report(self, status: int, reason: str = "") -> None:
        effect = ReportTransfer(status=status, reason=reason)
        self.bench.do(self.bench.legs.report_transfer(self.call_id, effect, self.bench.now))
        self.bench.run()


@pytest.fixture
def up() -> Up:
    return Up()


# ---------------------------------------------------------------- where to


@pytest.mark.parametrize(
    ("target", "kind", "to"),
    [
        ("<sip:carol@example.com>", "sip", "sip:carol@example.com"),
        ("sip:carol@example.com", "sip", "sip:carol@example.com"),
        ("<sips:carol@example.com:5071;transport=tls>", "sip", "sips:carol@example.com:5071;transport=tls"),
        ("<sip:carol@example.com;method=INVITE>", "sip", "sip:carol@example.com"),
        ("<sip:+15551234567@pbx.example.com>", "phone", "+15551234567"),
        ("<sip:+1-555-123@127.0.0.1;user=phone>", "phone", "+1555123"),
        ("<tel:+15551234567>", "phone", "+15551234567"),
        ("<sip:+15551234567@example.com>", "sip", "sip:+15551234567@example.com"),
        ("<sip:carol@example.com?X-Evil=1&Route=%3Csip:h%3E>", "sip", "sip:carol@example.com"),
    ],
)
def test_a_refer_asks_for_a_destination(up: Up, target: str, kind: str, to: str) -> None:
    assert up.refer(target).status == 202
    assert up.wanted() == [TransferRequested(destination=Destination(kind=kind, to=to))]


@pytest.mark.parametrize(
    ("target", "kind", "to"),
    [
        ("<sip:+19005551234@carrier.example>", "phone", "+19005551234"),
        ("<sip:19005551234@Carrier.example:5070;transport=tcp>", "phone", "+19005551234"),
        ("<sip:desk@carrier.example>", "sip", "sip:desk@carrier.example"),
        ("<sip:19005551234@example.com>", "sip", "sip:19005551234@example.com"),
    ],
)
def test_a_number_at_a_carrier_is_dialled_by_the_trunk_and_its_rules(target: str, kind: str, to: str) -> None:
    up = Up(LegRules(carrier_hosts=frozenset({"carrier.example"})))
    assert up.refer(target).status == 202
    assert up.wanted() == [TransferRequested(destination=Destination(kind=kind, to=to))]


@pytest.mark.parametrize(
    ("targets", "status"),
    [
        ((), 400),
        (("<sip:a@h>", "<sip:b@h>"), 400),
        (("<sip:a@h>, <sip:b@h>",), 400),
        (("<sip:>",), 400),
        (("nonsense",), 400),
        (("<mailto:a@h>",), 416),
        (("<https://h/>",), 416),
        (("<sip:a@h;method=BYE>",), 501),
        (("<sip:a@h?Replaces=only-a-call-id>",), 400),
    ],
)
def test_a_refer_that_cannot_be_carried_out_is_refused_and_the_call_goes_on(
    up: Up, targets: tuple[str, ...], status: int
) -> None:
    assert up.refer(*targets).status == status
    assert up.wanted() == []
    assert up.notifies() == []
    assert up.refer("<sip:carol@example.com>").status == 202


def test_a_refer_before_the_answer_is_declined() -> None:
    bench = LegBench()
    session = bench.call_out()
    bench.put(bench.far.ring(session, now=bench.now))
    bench.run()
    bench.put(bench.far.request(session, "REFER", headers=[("Refer-To", "<sip:c@h>")], now=bench.now))
    bench.run()
    assert bench.fact_names(CALLED) == ["LegRinging"]


@given(st.text(max_size=60))
def test_whatever_a_refer_to_says_it_is_a_destination_or_refused(text: str) -> None:
    value = "".join(letter for letter in text if letter.isprintable() and not "\ud800" <= letter <= "\udfff")
    request = Request("REFER", "sip:a@h", [("Refer-To", value), ("CSeq", "1 REFER")])
    found = read_refer(request, OUR_HOSTS)
    if isinstance(found, BadRefer):
        assert 400 <= found.status < 600
    else:
        assert found.destination.kind in ("sip", "phone")


# ---------------------------------------------------------------- what the sender is told


def test_the_sender_is_told_at_once_and_until_the_end(up: Up) -> None:
    up.refer("<sip:carol@example.com>")
    assert up.told() == [("SIP/2.0 100 Trying", "active;expires=180")]
    up.report(180)
    up.notifies()
    up.report(200)
    assert up.told()[1:] == [
        ("SIP/2.0 180 Ringing", "active;expires=180"),
        ("SIP/2.0 200 OK", "terminated;reason=noresource"),
    ]
    [first, *_] = up.notifies()
    assert (
        first.headers.get(
            "Event",
        )
        == f"refer;id={_cseq(up)}"
    )
    assert first.headers.get("Content-Type") == "message/sipfrag;version=2.0"


def _cseq(up: Up) -> int:
    sent = [d.data for d in up.bench.wire.sent if d.source == FAR and d.data.startswith(b"REFER")]
    [line] = [line for line in sent[0].split(b"\r\n") if line.startswith(b"CSeq")]
    return int(line.split()[1])


def test_a_failure_is_told_with_its_reason_and_nothing_after_it(up: Up) -> None:
    up.refer("<sip:carol@example.com>")
    up.notifies()
    up.report(486, "Busy Here\r\nX: y")
    up.report(200)
    assert up.told()[1:] == [("SIP/2.0 486 Busy Here", "terminated;reason=noresource")]


def test_a_sender_who_wants_no_reports_gets_none(up: Up) -> None:
    response = up.refer("<sip:carol@example.com>", Refer_Sub="false")
    assert (response.status, response.headers.get("Refer-Sub")) == (202, "false")
    up.report(200)
    assert up.notifies() == []
    assert len(up.wanted()) == 1


def test_a_second_transfer_waits_for_the_end_of_the_first(up: Up) -> None:
    up.refer("<sip:carol@example.com>")
    assert up.refer("<sip:dave@example.com>").status == 491
    up.notifies()
    up.report(603)
    up.notifies()
    assert up.refer("<sip:dave@example.com>").status == 202
    assert [fact.destination.to for fact in up.wanted()] == ["sip:carol@example.com", "sip:dave@example.com"]


def test_a_hangup_after_a_refer_ends_the_leg_and_reports_go_nowhere(up: Up) -> None:
    up.refer("<sip:carol@example.com>")
    up.bench.put(up.bench.far.bye(up.session, now=up.bench.now))
    up.bench.run()
    up.report(200)
    assert up.bench.ending(up.call_id).cause == "hangup_far_end"
    up.bench.comes_to_rest()


def test_a_report_without_a_transfer_is_nothing(up: Up) -> None:
    up.report(200)
    assert up.notifies() == []


def test_a_sender_who_has_forgotten_his_refer_can_send_another(up: Up) -> None:
    up.refer("<sip:carol@example.com>")
    notify = up.bench.received(RequestReceived)
    up.bench.put(up.bench.far.respond(notify.transaction, 481, now=up.bench.now))
    up.bench.run()
    up.report(200)
    assert len([d for d in up.bench.wire.sent if d.data.startswith(b"NOTIFY")]) == 1


# ---------------------------------------------------------------- Replaces


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a@b;to-tag=1;from-tag=2", Replaced("a@b", "1", "2")),
        ("a@b;from-tag=2;to-tag=1;early-only", Replaced("a@b", "1", "2")),
        ("a@b;To-Tag=1;From-Tag=2", Replaced("a@b", "1", "2")),
        ("a@b", None),
        ("a@b;to-tag=1", None),
        (";to-tag=1;from-tag=2", None),
        ("a@b;to-tag=1;to-tag=3;from-tag=2", None),
        ("a@b\r\nX: y;to-tag=1;from-tag=2", None),
        ("a@b;to-tag=1 1;from-tag=2", None),
    ],
)
def test_replaces_names_a_dialog_or_nothing(text: str, found: Replaced | None) -> None:
    assert read_replaces(text) == found


def test_a_transfer_to_the_far_end_of_another_call_of_ours_names_that_call() -> None:
    bench = LegBench()
    first_session = bench.call_in()
    first = bench.offered().call_id
    bench.do(bench.legs.accept_offer(first))
    bench.open_media(first)
    bench.answer(first)
    bench.run()
    second_session = bench.call_out()
    bench.far_accepts(second_session)
    ack = bench.last_sent("ACK")
    tags = f"to-tag%3D{ack.from_.tag}%3Bfrom-tag%3D{ack.to.tag}"
    target = f"<sip:someone@pbx.example.com?Replaces={ack.call_id}%3B{tags}>"
    bench.put(bench.far.request(first_session, "REFER", headers=[("Refer-To", target)], now=bench.now))
    bench.run()
    [wanted] = [fact for fact in bench.facts(first) if isinstance(fact, TransferRequested)]
    assert wanted.replaces == CALLED


def test_a_transfer_that_would_replace_the_call_itself_is_refused(up: Up) -> None:
    response = up.bench.last_sent("200")
    tags = f"to-tag%3D{response.to.tag}%3Bfrom-tag%3D{response.from_.tag}"
    assert up.refer(f"<sip:x@h?Replaces={response.call_id}%3B{tags}>").status == 400
    assert up.wanted() == []


def test_a_dialog_elsewhere_is_replaced_by_the_invite_that_goes_there(up: Up) -> None:
    up.refer("<sip:carol@127.0.0.2?Replaces=abc%40h%3Bto-tag%3D1%3Bfrom-tag%3D2>")
    [wanted] = up.wanted()
    assert wanted.replaces is None
    bench = LegBench()
    bench.call_out(destination=wanted.destination)
    assert bench.last_sent("INVITE").headers.get("Replaces") == "abc@h;to-tag=1;from-tag=2"


@pytest.mark.parametrize(("replaces", "status"), [("abc@h;to-tag=1;from-tag=2", 481), ("nonsense", 400)])
def test_an_invite_that_would_replace_no_call_of_ours_is_refused(replaces: str, status: int) -> None:
    bench = LegBench()
    bench.call_in(headers=[("Replaces", replaces)])
    assert bench.sent() == ["100", str(status)]
    assert bench.told == []


def test_an_invite_cannot_take_over_a_call_of_ours(up: Up) -> None:
    response = up.bench.last_sent("200")
    tags = f"to-tag={response.to.tag};from-tag={response.from_.tag}"
    up.bench.call_in(headers=[("Replaces", f"{response.call_id};{tags}")])
    assert up.bench.sent()[-1] == "486"
    assert up.bench.fact_names(up.call_id) == ["LegAnswered"]
