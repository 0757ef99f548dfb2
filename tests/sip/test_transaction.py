"""The four transactions, each timer and each row, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import SendMessage
from cordboard.sip.message import Request, Response, parse
from cordboard.sip.moment import Moment
from cordboard.sip.outgoing import OutgoingRequest
from cordboard.sip.replies import ReplyWriter
from cordboard.sip.timers import Started, Timer, TimerQueue, Timers
from cordboard.sip.transaction.client import CLIENT
from cordboard.sip.transaction.client_invite import CLIENT_INVITE
from cordboard.sip.transaction.layer import TransactionLayer, server_key
from cordboard.sip.transaction.server import SERVER
from cordboard.sip.transaction.server_invite import SERVER_INVITE
from cordboard.sip.transaction.table import Action, Input, State, Table
from cordboard.sip.transaction.transaction import ClientTransaction, ServerTransaction

FAR = Endpoint("UDP", "192.0.2.9", 5060)
FAR_TCP = Endpoint("TCP", "192.0.2.9", 5060)
TABLES = (CLIENT_INVITE, CLIENT, SERVER_INVITE, SERVER)


class Desk:
    """A transaction layer with its clock, and a user that notes what it is told."""

    def __init__(self) -> None:
        self.queue = TimerQueue()
        self.moment = Moment()
        self.layer = TransactionLayer(self.moment, self.queue, Timers())
        self.sent: list[tuple[float, str]] = []
        self.told: list[tuple[float, int]] = []

    def client(self, method: str, destination: Endpoint = FAR) -> ClientTransaction:
        request = OutgoingRequest(
            method,
            "sip:bob@192.0.2.9",
            via=f"SIP/2.0/{destination.transport} 192.0.2.1:5060;branch=z9hG4bK1;rport",
            branch="z9hG4bK1",
            from_="<sip:a@x>;tag=1",
            to="<sip:b@x>",
            call_id="c",
            cseq=7,
            destination=destination,
        )
        transaction = self.layer.start_client(request, self)
        self._collect()
        return transaction

    def server(self, method: str, source: Endpoint = FAR) -> ServerTransaction:
        request = parse(
            f"{method} sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK2;rport\r\n"
            f"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\r\n".encode()
        )
        assert isinstance(request, Request)
        reply = ReplyWriter(request, source, "ours")
        return self.layer.start_server(server_key(request, method), request, reply)

    def respond(self, method: str, status: int, tag: str = "t") -> bool:
        """A response of the far end to our request."""
        response = parse(
            f"SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n"
            f"To: <sip:b@x>;tag={tag}\r\nCall-ID: c\r\nCSeq: 7 {method}\r\n\r\n".encode()
        )
        assert isinstance(response, Response)
        found = self.layer.receive_response(response)
        self._collect()
        return found

    def received_response(self, transaction: ClientTransaction, response: Response) -> None:
        self.told.append((self.moment.now, response.status))

    def failed(self, transaction: ClientTransaction, status: int) -> None:
        self.told.append((self.moment.now, -status))

    def pass_time(self, until: float) -> None:
        while (when := self.queue.next_timeout()) is not None and when <= until:
            self.moment.begin(when)
            for target, timer in self.queue.take_due(when):
                target.fire(timer)
                self._collect()
        self.moment.begin(until)

    def act(self, transaction: ServerTransaction, status: int) -> None:
        transaction.respond(status)
        self._collect()

    def hear(self, transaction: ServerTransaction, cause: Input) -> None:
        transaction.take(cause)
        self._collect()

    def _collect(self) -> None:
        for output in self.moment.outputs:
            assert isinstance(output, SendMessage)
            line = output.data.split(b"\r\n")[0].decode()
            self.sent.append(
                (self.moment.now, line.split()[1] if line.startswith("SIP/") else line.split()[0])
            )
        self.moment.begin(self.moment.now)

    def times(self, what: str) -> list[float]:
        return [when for when, line in self.sent if line == what]


# ------------------------------------------------------------------ the tables themselves


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_state_of_a_table_can_be_reached_and_left(table: Table) -> None:
    reached = {table.initial} | {step.state for step in table.rows.values()}
    left = {state for state, _ in table.rows}
    assert reached - {State.TERMINATED} == left


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_timer_has_a_row_in_each_state_that_names_it_and_in_no_other(table: Table) -> None:
    named = {(state, timer) for state, timers in table.timers.items() for timer in timers if timer}
    handled = {(state, cause) for state, cause in table.rows if isinstance(cause, Timer)}
    assert named == handled


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_retransmission_timer_is_started_again_by_its_own_row(table: Table) -> None:
    again = {Action.DOUBLE, Action.DOUBLE_UP_TO_T2, Action.SLOW_DOWN, Action.AGAIN}
    for (state, cause), step in table.rows.items():
        repeats = isinstance(cause, Timer) and cause is table.timers[state].again
        assert bool(again & set(step.actions)) == repeats


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_picture_of_a_table_shows_each_row(table: Table) -> None:
    picture = table.diagram()
    assert picture.count("-->") == len(table.rows) + 1
    assert "stateDiagram-v2" in picture


# ------------------------------------------------------------------ INVITE client


def test_timer_a_sends_an_invite_again_with_doubling_pauses_and_timer_b_gives_up() -> None:
    desk = Desk()
    desk.client("INVITE")
    desk.pass_time(100)
    assert desk.times("INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert desk.told == [(32, -408)]
    assert len(desk.layer) == 0
    assert len(desk.queue) == 0


def test_a_provisional_response_stops_timers_a_and_b() -> None:
    desk = Desk()
    transaction = desk.client("INVITE")
    desk.pass_time(0.6)
    assert desk.respond("INVITE", 180)
    desk.pass_time(500)
    assert desk.times("INVITE") == [0, 0.5]
    assert desk.told == [(0.6, 180)]
    assert transaction.state is State.PROCEEDING
    assert len(desk.queue) == 0


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
def test_a_failure_is_acknowledged_each_time_but_told_once_until_timer_d(status: int) -> None:
    desk = Desk()
    desk.client("INVITE")
    desk.respond("INVITE", status)
    desk.pass_time(10)
    desk.respond("INVITE", status)
    assert desk.times("ACK") == [0, 10]
    assert desk.told == [(0, status)]
    desk.pass_time(31.9)
    assert len(desk.layer) == 1
    desk.pass_time(32)
    assert len(desk.layer) == 0
    assert not desk.respond("INVITE", status)


def test_each_2xx_is_handed_up_until_timer_m() -> None:
    desk = Desk()
    desk.client("INVITE")
    desk.respond("INVITE", 200)
    desk.respond("INVITE", 200, tag="fork2")
    desk.pass_time(31.9)
    desk.respond("INVITE", 200)
    assert [status for _, status in desk.told] == [200, 200, 200]
    assert desk.times("ACK") == []
    desk.pass_time(32)
    assert not desk.respond("INVITE", 200)


def test_a_failure_after_a_2xx_and_a_2xx_after_a_failure_are_ignored() -> None:
    desk = Desk()
    desk.client("INVITE")
    desk.respond("INVITE", 200)
    desk.respond("INVITE", 486)
    other = Desk()
    other.client("INVITE")
    other.respond("INVITE", 486)
    other.respond("INVITE", 200)
    assert [status for _, status in desk.told] == [200]
    assert [status for _, status in other.told] == [486]


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_a_transport_error_before_any_response_ends_a_request_at_once(method: str) -> None:
    desk = Desk()
    desk.client(method)
    desk.layer.transport_failed(FAR)
    assert desk.told == [(0, -503)]
    assert len(desk.layer) == len(desk.queue) == 0


def test_a_transport_error_elsewhere_or_after_ringing_changes_nothing() -> None:
    desk = Desk()
    desk.client("INVITE")
    desk.layer.transport_failed(Endpoint("UDP", "192.0.2.10", 5060))
    desk.respond("INVITE", 180)
    desk.layer.transport_failed(FAR)
    assert desk.told == [(0, 180)]
    assert len(desk.layer) == 1


def test_the_ack_of_a_failure_repeats_branch_route_and_number_and_takes_the_to_of_the_response() -> None:
    request = OutgoingRequest(
        "INVITE",
        "sip:bob@x",
        via="SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKq",
        branch="z9hG4bKq",
        from_="<sip:a@x>;tag=1",
        to="<sip:b@x>",
        call_id="c",
        cseq=9,
        destination=FAR,
        routes="Route: <sip:proxy;lr>\r\n",
    )
    ack = parse(request.acknowledgement("<sip:b@x>;tag=2"))
    assert isinstance(ack, Request)
    assert (ack.method, ack.uri, ack.branch, str(ack.cseq)) == ("ACK", "sip:bob@x", "z9hG4bKq", "9 ACK")
    assert (ack.to.tag, ack.from_.tag, ack.routes) == ("2", "1", ["<sip:proxy;lr>"])


# ------------------------------------------------------------------ non-INVITE client


def test_timer_e_doubles_up_to_t2_and_timer_f_gives_up() -> None:
    desk = Desk()
    desk.client("BYE")
    desk.pass_time(100)
    assert desk.times("BYE") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert desk.told == [(32, -408)]
    assert len(desk.layer) == len(desk.queue) == 0


def test_after_a_provisional_response_timer_e_waits_t2_and_timer_f_goes_on() -> None:
    desk = Desk()
    desk.client("INFO")
    desk.pass_time(0.1)
    desk.respond("INFO", 100)
    desk.pass_time(100)
    assert desk.times("INFO") == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert desk.told == [(0.1, 100), (32, -408)]


def test_timer_k_absorbs_further_responses() -> None:
    desk = Desk()
    desk.client("BYE")
    desk.respond("BYE", 200)
    desk.pass_time(4.9)
    assert desk.respond("BYE", 200)
    assert desk.told == [(0, 200)]
    desk.pass_time(5)
    assert not desk.respond("BYE", 200)
    assert len(desk.queue) == 0


def test_on_a_reliable_transport_nothing_is_sent_again_and_nothing_lingers() -> None:
    desk = Desk()
    desk.client("BYE", FAR_TCP)
    desk.pass_time(20)
    assert desk.times("BYE") == [0]
    desk.respond("BYE", 200)
    desk.pass_time(20)
    assert len(desk.layer) == len(desk.queue) == 0


# ------------------------------------------------------------------ INVITE server


def test_a_repeated_invite_gets_the_last_response_again() -> None:
    desk = Desk()
    transaction = desk.server("INVITE")
    desk.act(transaction, 100)
    desk.hear(transaction, Input.REQUEST)
    desk.act(transaction, 180)
    desk.hear(transaction, Input.REQUEST)
    assert [line for _, line in desk.sent] == ["100", "100", "180", "180"]


def test_a_ringing_invite_is_reminded_each_minute() -> None:
    desk = Desk()
    transaction = desk.server("INVITE")
    desk.act(transaction, 180)
    desk.pass_time(150)
    assert desk.times("180") == [0, 60, 120]


def test_timer_g_sends_a_failure_again_up_to_t2_and_timer_h_gives_up() -> None:
    desk = Desk()
    transaction = desk.server("INVITE")
    desk.act(transaction, 486)
    desk.pass_time(100)
    assert desk.times("486") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert len(desk.layer) == len(desk.queue) == 0


def test_the_ack_stops_timer_g_and_timer_i_absorbs_further_ones() -> None:
    desk = Desk()
    transaction = desk.server("INVITE")
    desk.act(transaction, 486)
    desk.pass_time(1)
    desk.hear(transaction, Input.ACK)
    desk.hear(transaction, Input.ACK)
    desk.pass_time(5.9)
    assert desk.times("486") == [0, 0.5]
    assert transaction.state is State.CONFIRMED
    desk.pass_time(6)
    assert len(desk.layer) == len(desk.queue) == 0


def test_after_a_2xx_a_repeated_invite_gets_it_again_until_timer_l() -> None:
    desk = Desk()
    transaction = desk.server("INVITE")
    desk.act(transaction, 200)
    desk.pass_time(10)
    desk.hear(transaction, Input.REQUEST)
    assert desk.times("200") == [0, 10]
    desk.pass_time(32)
    assert len(desk.layer) == len(desk.queue) == 0


def test_a_second_final_response_is_not_sent() -> None:
    desk = Desk()
    transaction = desk.server("INVITE")
    desk.act(transaction, 486)
    desk.act(transaction, 200)
    desk.act(transaction, 180)
    assert [line for _, line in desk.sent] == ["486"]


# ------------------------------------------------------------------ non-INVITE server


def test_a_repeated_request_gets_its_final_response_again_until_timer_j() -> None:
    desk = Desk()
    transaction = desk.server("INFO")
    desk.hear(transaction, Input.REQUEST)
    desk.act(transaction, 200)
    desk.pass_time(31)
    desk.hear(transaction, Input.REQUEST)
    assert desk.times("200") == [0, 31]
    desk.pass_time(32)
    assert len(desk.layer) == len(desk.queue) == 0


def test_a_request_that_nobody_answers_is_forgotten_when_its_client_has_given_up() -> None:
    desk = Desk()
    transaction = desk.server("INFO")
    desk.act(transaction, 183)
    desk.pass_time(32)
    assert len(desk.layer) == len(desk.queue) == 0


# ------------------------------------------------------------------ matching


def _request(branch: str, method: str = "INVITE", sent_by: str = "192.0.2.9:5060", cseq: int = 1) -> Request:
    request = parse(
        f"{method} sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};branch={branch}\r\nFrom: <sip:a@x>;tag=1\r\n"
        f"To: <sip:b@x>\r\nCall-ID: c\r\nCSeq: {cseq} {method}\r\n\r\n".encode()
    )
    assert isinstance(request, Request)
    return request


def test_a_server_transaction_is_known_by_branch_sent_by_and_method() -> None:
    key = server_key(_request("z9hG4bKa"), "INVITE")
    assert server_key(_request("z9hG4bKa", "ACK"), "INVITE") == key
    assert server_key(_request("z9hG4bKa", cseq=2), "INVITE") == key
    assert server_key(_request("z9hG4bKb"), "INVITE") != key
    assert server_key(_request("z9hG4bKa", sent_by="192.0.2.8:5060"), "INVITE") != key
    assert server_key(_request("z9hG4bKa"), "CANCEL") != key


def test_without_the_magic_cookie_the_rules_of_rfc_2543_hold() -> None:
    key = server_key(_request("1"), "INVITE")
    assert server_key(_request("1", "ACK"), "INVITE") == key
    assert server_key(_request("1", cseq=2), "INVITE") != key


def test_a_response_with_another_cseq_number_is_no_answer() -> None:
    desk = Desk()
    desk.client("BYE")
    stray = parse(
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n"
        b"To: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 8 BYE\r\n\r\n"
    )
    assert isinstance(stray, Response)
    assert not desk.layer.receive_response(stray)
    assert desk.told == []


# ------------------------------------------------------------------ the timer queue


class Bell:
    def __init__(self) -> None:
        self.rung: list[Timer] = []

    def fire(self, timer: Timer) -> None:
        self.rung.append(timer)


def test_timers_come_in_the_order_of_their_time_and_then_of_their_start() -> None:
    queue, bell = TimerQueue(), Bell()
    for seconds, timer in ((2.0, Timer.A), (1.0, Timer.B), (1.0, Timer.D)):
        queue.start(0.0, seconds, bell, timer)
    queue.start(0.5, 0.5, bell, Timer.E)
    assert queue.next_timeout() == 1.0
    assert [timer for _, timer in queue.take_due(2.0)] == [Timer.B, Timer.D, Timer.E, Timer.A]
    assert queue.next_timeout() is None


def test_a_stopped_timer_does_not_ring_and_stopping_twice_does_no_harm() -> None:
    queue, bell = TimerQueue(), Bell()
    started = queue.start(0.0, 1.0, bell, Timer.A)
    queue.start(0.0, 3.0, bell, Timer.B)
    queue.stop(started)
    queue.stop(started)
    assert len(queue) == 1
    assert queue.next_timeout() == 3.0
    assert list(queue.take_due(2.0)) == []


def test_a_timer_that_another_stops_when_both_are_due_does_not_ring() -> None:
    queue, bell = TimerQueue(), Bell()
    queue.start(0.0, 1.0, bell, Timer.B)
    other = queue.start(0.0, 1.0, bell, Timer.A)
    for _, timer in queue.take_due(1.0):
        bell.fire(timer)
        queue.stop(other)
        queue.start(1.0, 0.0, bell, Timer.D)
    assert bell.rung == [Timer.B]
    assert [timer for _, timer in queue.take_due(1.0)] == [Timer.D]
    assert len(queue) == 0


def test_stopped_timers_are_swept_out() -> None:
    queue, bell = TimerQueue(), Bell()
    queue.start(0.0, 9.0, bell, Timer.A)
    for _ in range(10_000):
        queue.stop(queue.start(0.0, 5.0, bell, Timer.B))
    assert len(queue) == 1
    assert sum(len(lane) for lane in queue._lanes.values()) < 200
    assert queue.next_timeout() == 9.0


@given(st.lists(st.tuples(st.sampled_from(["start", "stop", "pop"]), st.integers(0, 4)), max_size=60))
def test_the_queue_is_a_list_sorted_by_time(steps: list[tuple[str, int]]) -> None:
    queue, bell, now = TimerQueue(), Bell(), 0.0
    running: list[Started] = []
    for step, number in steps:
        now += number % 2
        if step == "start":
            running.append(queue.start(now, number * 1.5, bell, Timer.A))
            running.sort(key=lambda started: tuple(started[:2]))
        elif step == "stop" and running:
            queue.stop(running.pop(number % len(running)))
        elif step == "pop":
            due = sum(started[0] <= now for started in running)
            assert len(list(queue.take_due(now))) == due
            del running[:due]
        assert len(queue) == len(running)
        assert queue.next_timeout() == (running[0][0] if running else None)
