"""What a far end asks while a call is up: hold, resume, other ports, offers that come late, INFO, UPDATE."""

from __future__ import annotations

import pytest

from cordboard.call.facts import LegHeld, LegResumed
from cordboard.legs.outputs import DialogSaved
from cordboard.sdp import PCMA, PCMU, parse
from cordboard.sip.events import AckReceived, RequestDone

from .leg_bench import CALLED, FAR, G729, OURS, LegBench, far_answer, far_offer


class Up:
    """A call that is up, in either direction."""

    def __init__(self, direction: str) -> None:
        self.bench = LegBench()
        if direction == "in":
            self.call_id, self.session = self.bench.answered_call_in()
        else:
            self.session, self.call_id = self.bench.answered_call_out(), CALLED
        self.bench.told.clear()

    def reinvite(self, body: bytes) -> int:
        return self.bench.far_reinvites(self.session, body).status

    @property
    def media(self) -> list[tuple[str, int, bool, bool]]:
        orders = [order.command for order in self.bench.media_orders(self.call_id)]
        return [(order.address, order.port, order.sending, order.receiving) for order in orders]

    def ends_well(self) -> None:
        self.bench.put(self.bench.far.bye(self.session, now=self.bench.now))
        self.bench.run()
        assert self.bench.ending(self.call_id).cause == "hangup_far_end"
        self.bench.comes_to_rest()


@pytest.fixture(params=["in", "out"])
def up(request: pytest.FixtureRequest) -> Up:
    return Up(request.param)


def test_hold_and_resume_turn_our_directions(up: Up) -> None:
    for direction in ("sendonly", "sendrecv", "inactive", "recvonly"):
        assert up.reinvite(far_offer(direction=direction)) == 200
    assert [(sending, receiving) for _, _, sending, receiving in up.media] == [
        (False, True),
        (True, True),
        (False, False),
        (True, False),
    ]
    assert up.bench.facts(up.call_id) == [LegHeld(), LegResumed(), LegHeld(), LegResumed()]
    up.ends_well()


def test_hold_is_answered_with_its_mirror(up: Up) -> None:
    response = up.bench.far_reinvites(up.session, far_offer(direction="sendonly"))
    assert ("recvonly", "") in parse(response.body).media[0].attributes


def test_hold_with_the_zero_address_sends_nothing(up: Up) -> None:
    held = far_offer().replace(FAR.address.encode(), b"0.0.0.0")
    assert up.reinvite(held) == 200
    assert [sending for _, _, sending, _ in up.media] == [False]


def test_a_moved_port_is_followed(up: Up) -> None:
    assert up.reinvite(far_offer(port=5004)) == 200
    assert [port for _, port, _, _ in up.media] == [5004]


def test_another_codec_is_taken(up: Up) -> None:
    assert up.reinvite(far_offer(PCMA)) == 200
    [order] = up.bench.media_orders(up.call_id)
    assert order.command.send.name == "PCMA"


@pytest.mark.parametrize("body", [far_offer(G729), b"nonsense", far_offer(port=0)])
def test_an_offer_that_cannot_be_taken_gets_488_and_the_call_goes_on(up: Up, body: bytes) -> None:
    assert up.reinvite(body) == 488
    assert up.media == []
    assert up.reinvite(far_offer(port=5006)) == 200
    up.ends_well()


def test_each_new_description_raises_the_version_by_one(up: Up) -> None:
    assert up.reinvite(far_offer(G729)) == 488
    versions = []
    for port in (5000, 5002):
        body = up.bench.far_reinvites(up.session, far_offer(port=port)).body
        origin = body.split(b"\r\n")[1].split()
        versions.append((origin[1], int(origin[2])))
    assert versions[0][0] == versions[1][0]
    assert [version for _, version in versions] == [2, 3]


# ---------------------------------------------------------------- offers that come late


def late_offer(up: Up, answer: bytes) -> bytes:
    """A re-INVITE without SDP; the far end's ACK carries `answer`.  Our offer."""
    bench = up.bench
    bench.wire.drop = lambda datagram: datagram.data.startswith(b"ACK")
    response = bench.far_reinvites(up.session, b"")
    assert response.status == 200
    bench.wire.drop = lambda datagram: False
    ack = [d.data for d in bench.wire.sent if d.source == FAR and d.data.startswith(b"ACK")][-1]
    kind = b"Content-Type: application/sdp\r\n" if answer else b""
    length = kind + b"Content-Length: %d\r\n\r\n" % len(answer)
    bench.do(bench.legs.receive(ack.replace(b"Content-Length: 0\r\n\r\n", length) + answer, FAR, bench.now))
    return response.body


def test_without_sdp_we_offer_what_holds_and_follow_the_answer_in_the_ack(up: Up) -> None:
    offer = late_offer(up, b"")
    assert parse(offer).media[0].port == 10_000
    assert ("sendrecv", "") in parse(offer).media[0].attributes
    assert up.media == []
    late_offer(up, far_answer(offer, PCMU, port=5008))
    assert [port for _, port, _, _ in up.media] == [5008]
    up.ends_well()


@pytest.mark.parametrize("answer", [b"", b"nonsense", far_offer(G729)])
def test_a_late_answer_that_cannot_be_used_leaves_the_media_as_they_were(up: Up, answer: bytes) -> None:
    late_offer(up, answer)
    assert up.media == []
    assert up.bench.facts(up.call_id) == []
    up.ends_well()


def test_the_dialog_is_saved_again_after_a_reinvite(up: Up) -> None:
    """Its Contact may have moved."""
    assert up.reinvite(far_offer()) == 200
    assert [told.call_id for told in up.bench.all_told(DialogSaved)] == [up.call_id]


def test_a_reinvite_that_crosses_our_bye_gets_481(up: Up) -> None:
    up.bench.wire.drop = lambda datagram: datagram.data.startswith(b"BYE")
    up.bench.end(up.call_id)
    assert up.reinvite(far_offer()) == 481


def test_a_reinvite_before_the_first_ack_is_glare_or_answered_never_lost() -> None:
    bench = LegBench()
    bench.wire.drop = lambda datagram: datagram.data.startswith(b"ACK")
    _, session = bench.answered_call_in()
    response = bench.far_reinvites(session, far_offer(port=5010))
    assert response.status in (200, 491, 500)


# ---------------------------------------------------------------- UPDATE and INFO


def test_update_with_an_offer_is_answered_like_a_reinvite(up: Up) -> None:
    response = up.bench.far_requests(up.session, "UPDATE", far_offer(port=5012))
    assert response.status == 200
    assert parse(response.body).media[0].port == 10_000
    assert [port for _, port, _, _ in up.media] == [5012]
    up.ends_well()


def test_update_without_an_offer_is_a_refresh(up: Up) -> None:
    response = up.bench.far_requests(up.session, "UPDATE")
    assert (response.status, response.body) == (200, b"")
    assert up.media == []


def test_update_with_an_offer_that_cannot_be_taken_gets_488(up: Up) -> None:
    assert up.bench.far_requests(up.session, "UPDATE", far_offer(G729)).status == 488
    assert up.media == []


def test_update_with_an_offer_before_the_answer_must_be_sent_again() -> None:
    bench = LegBench()
    session = bench.call_out()
    bench.put(bench.far.ring(session, now=bench.now))
    bench.run()
    bench.wire.drop = lambda datagram: datagram.data.startswith(b"UPDATE")
    bench.put(bench.far.request(session, "UPDATE", now=bench.now))
    [update] = [d.data for d in bench.wire.sent if d.data.startswith(b"UPDATE")]
    body = far_offer()
    length = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(body)
    bench.do(bench.legs.receive(update.replace(b"Content-Length: 0\r\n\r\n", length) + body, FAR, bench.now))
    assert bench.sent()[-1] in ("491", "500")
    assert bench.media_orders(CALLED) == []


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("NOTIFY", 481), ("MESSAGE", 405)])
def test_what_means_nothing_to_a_leg_is_answered_all_the_same(up: Up, method: str, status: int) -> None:
    assert up.bench.far_requests(up.session, method).status == status
    up.ends_well()


def test_retransmitted_requests_are_answered_once_for_the_leg(up: Up) -> None:
    """RFC 3261 section 17.2: the transaction repeats the answer, the leg does not hear of it."""
    up.reinvite(far_offer(port=5014))
    again = [d.data for d in up.bench.wire.sent if d.source == FAR and b"5014" in d.data][-1]
    before = len(up.media)
    up.bench.do(up.bench.legs.receive(again, FAR, up.bench.now))
    assert len(up.media) == before


def test_the_far_end_hears_of_every_answer(up: Up) -> None:
    up.reinvite(far_offer())
    done = [
        event for _, where, event in up.bench.wire.events if where == FAR and isinstance(event, RequestDone)
    ]
    assert len(done) == 1
    assert not [
        event for _, where, event in up.bench.wire.events if where == OURS and isinstance(event, AckReceived)
    ]
