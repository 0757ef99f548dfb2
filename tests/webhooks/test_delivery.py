"""The delivery machine in virtual time: order, pauses, limits, memory, restart."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.webhooks.delivery import (
    DeliveryLimits,
    DeliveryMachine,
    Input,
    Load,
    Loaded,
    Offered,
    Output,
    Reoffered,
    Settled,
    Stored,
    Tried,
    Try,
)
from cordboard.webhooks.lane import Item

DAY = 86_400.0
HOST = "http://h:80"


def item(number: int, *, session: str = "s", origin: str = HOST, at: float = 0.0, due: float = 0.0) -> Item:
    return Item(number=number, queue=(session, origin + "/cb"), origin=origin, created_at=at, due=due)


class World:
    """A machine with a store that remembers and receivers that answer as `answer` says."""

    def __init__(
        self, answer: Callable[[Item, float], bool] = lambda item, now: True, **limits: float
    ) -> None:
        self.limits = DeliveryLimits(**limits)  # type: ignore[arg-type]
        self.rows: dict[int, Item] = {}
        self.state: dict[int, str] = {}
        self.tries: list[tuple[float, int]] = []
        self.received: list[int] = []
        self.under_way: list[tuple[float, Item]] = []
        self.now = 0.0
        self.took = 0.01
        self.most_held = self.most_running = 0
        self._answer = answer
        self.restart()

    def restart(self) -> None:
        """The process dies and starts again: only the rows are left."""
        self.under_way.clear()
        self.machine = DeliveryMachine(random=random.Random(1).random, limits=self.limits)
        pending = [row for number, row in self.rows.items() if self.state[number] == "pending"]
        for origin in sorted({row.origin for row in pending}):
            self.feed(Stored(origin))

    def offer(self, items: Iterable[Item]) -> None:
        for new in items:
            self.rows[new.number], self.state[new.number] = new, "pending"
            self.feed(Offered(_copy(new)))

    def feed(self, given: Input) -> None:
        self.carry_out(self.machine.handle(given, self.now))

    def carry_out(self, outputs: list[Output]) -> None:
        self.most_held = max(self.most_held, self.machine.held)
        self.most_running = max(self.most_running, self.machine.running)
        for output in outputs:
            if isinstance(output, Try):
                self.tries.append((self.now, output.item.number))
                self.under_way.append((self.now + self.took, output.item))
            elif isinstance(output, Settled):
                self.state[output.item.number] = output.state
                self.rows[output.item.number].attempts = output.attempts
                self.rows[output.item.number].due = output.due
            else:
                self.load(output)

    def load(self, wanted: Load) -> None:
        found = [
            _copy(row)
            for number, row in sorted(self.rows.items())
            if self.state[number] == "pending" and row.origin == wanted.origin and number > wanted.after
        ][: wanted.limit]
        self.feed(Loaded(wanted.origin, tuple(found), wanted.limit))

    def run(self, until: float) -> None:
        for _ in range(200_000):
            ends = min((end for end, _ in self.under_way), default=None)
            due = self.machine.next_timeout()
            times = [time for time in (ends, due) if time is not None and time <= until]
            if not times:
                break
            self.now = max(self.now, min(times))
            if ends is not None and ends <= self.now:
                self._end_one(ends)
            else:
                self.carry_out(self.machine.handle_timeout(self.now))
        else:
            pytest.fail("the machine never comes to rest")
        self.now = until

    def _end_one(self, end: float) -> None:
        entry = next(entry for entry in self.under_way if entry[0] == end)
        self.under_way.remove(entry)
        delivered = self._answer(entry[1], self.now)
        if delivered:
            self.received.append(entry[1].number)
        self.feed(Tried(number=entry[1].number, delivered=delivered))


def _copy(row: Item) -> Item:
    return Item(
        number=row.number,
        queue=row.queue,
        origin=row.origin,
        created_at=row.created_at,
        due=row.due,
        attempts=row.attempts,
    )


def test_a_delivery_is_tried_at_once_and_then_forgotten() -> None:
    world = World()
    world.offer([item(1)])
    world.run(1.0)
    assert world.received == [1]
    assert world.state == {1: "delivered"}
    assert world.machine.held == 0
    assert world.machine.origins() == {}
    assert world.machine.next_timeout() is None


def test_the_next_of_a_queue_waits_until_the_one_before_is_settled() -> None:
    world = World(answer=lambda item, now: now > 100)
    world.offer([item(1), item(2), item(3, session="other")])
    world.run(50.0)
    assert {number for _, number in world.tries} == {1, 3}
    world.run(400.0)
    assert [number for number in world.received if number != 3] == [1, 2]


def test_pauses_grow_from_a_second_to_a_quarter_of_an_hour_with_jitter() -> None:
    world = World(answer=lambda item, now: False)
    world.took = 0.0
    world.offer([item(1)])
    world.run(DAY)
    times = [time for time, _ in world.tries]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    for attempt, pause in enumerate(pauses[:-1]):
        full = min(2.0**attempt, 900.0)
        assert full / 2 <= pause <= full
    assert len({round(pause, 3) for pause in pauses}) == len(pauses)


def test_after_a_day_a_delivery_is_dead_and_the_next_gets_its_turn() -> None:
    world = World(answer=lambda item, now: item.number == 2)
    world.offer([item(1), item(2)])
    world.run(DAY - 1)
    assert world.state == {1: "pending", 2: "pending"}
    world.run(DAY + 1)
    assert world.state == {1: "dead", 2: "delivered"}
    assert world.machine.held == 0


def test_a_hopeless_delivery_is_dead_at_once() -> None:
    machine = DeliveryMachine(random=lambda: 0.5)
    machine.handle(Offered(item(1)), 0.0)
    settled, *_ = machine.handle(Tried(number=1, delivered=False, hopeless=True), 0.1)
    assert isinstance(settled, Settled)
    assert settled.state == "dead"


def test_a_dead_delivery_is_tried_again_on_request() -> None:
    world = World(answer=lambda item, now: now > DAY + 10)
    world.offer([item(1)])
    world.run(DAY + 20)
    assert world.state == {1: "dead"}
    world.rows[1].created_at, world.state[1] = world.now, "pending"
    world.feed(Reoffered(item(1, at=world.now)))
    world.run(DAY + 30)
    assert world.state == {1: "delivered"}


def test_a_dead_receiver_does_not_hold_up_the_others() -> None:
    world = World(answer=lambda item, now: item.origin == "http://good:80")
    world.took = 5.0
    world.offer(item(n, session=f"s{n}", origin="http://bad:80") for n in range(1, 1001))
    world.offer(item(n, session=f"s{n}", origin="http://good:80") for n in range(1001, 1011))
    world.run(5.0)
    assert sorted(world.received) == list(range(1001, 1011))


def test_a_receiver_that_is_down_is_tried_by_few_at_a_time_and_catches_up_when_it_is_back() -> None:
    world = World(answer=lambda item, now: now > 3600)
    world.offer(item(n, session=f"s{n}") for n in range(1, 101))
    world.run(3600.0)
    recent = [time for time, _ in world.tries if time > 3000]
    assert world.machine.origins() == {HOST: True}
    assert len(recent) < 300
    world.run(3600.0 + 900.0)
    first = next(time for time, number in world.tries if number in world.received and time > 3600 - 1)
    assert sorted(world.received) == list(range(1, 101))
    last = max(time for time, _ in world.tries)
    assert last - first < 2.0, "all that waited went out soon after the first success"


def test_attempts_at_once_are_limited_in_all_and_for_each_origin() -> None:
    world = World(at_once=20, at_once_per_lane=8)
    world.offer(item(n, session=f"s{n}", origin=f"http://h{n % 5}:80") for n in range(1, 201))
    assert world.most_running == 20
    running: dict[str, int] = {}
    for _, under_way in world.under_way:
        running[under_way.origin] = running.get(under_way.origin, 0) + 1
    assert max(running.values()) <= 8
    world.run(10.0)
    assert len(world.received) == 200


def test_memory_is_bounded_and_what_is_left_in_the_store_comes_in_order() -> None:
    world = World(answer=lambda item, now: now > 600, held_per_lane=50, loaded_at_once=20)
    world.offer(item(n, session=f"s{n % 7}") for n in range(1, 1001))
    world.run(5000.0)
    assert world.most_held <= 50
    assert sorted(world.received) == list(range(1, 1001))
    assert_order_kept(world)


def test_after_a_restart_all_that_is_pending_goes_out_before_what_is_new() -> None:
    world = World(answer=lambda item, now: now > 100, loaded_at_once=10)
    world.offer(item(n, session=f"s{n % 3}") for n in range(1, 101))
    world.run(50.0)
    world.restart()
    world.offer(item(n, session=f"s{n % 3}", at=50.0) for n in range(101, 121))
    world.run(2000.0)
    assert sorted(set(world.received)) == list(range(1, 121))
    assert_order_kept(world)


def test_a_late_answer_of_an_unknown_try_changes_nothing() -> None:
    machine = DeliveryMachine(random=lambda: 0.5)
    assert machine.handle(Tried(number=7, delivered=True), 0.0) == []


def assert_order_kept(world: World) -> None:
    """In each queue the first arrivals come in the order of the numbers."""
    seen: dict[tuple[str, str], int] = {}
    for number in dict.fromkeys(world.received):
        queue = world.rows[number].queue
        assert number > seen.get(queue, 0)
        seen[queue] = number


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 1_000_000),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("offer"), st.integers(1, 30)),
            st.tuples(st.just("run"), st.integers(1, 400)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        max_size=25,
    ),
)
def test_whatever_happens_every_delivery_arrives_in_order(seed: int, steps: list[tuple[str, int]]) -> None:
    dice = random.Random(seed)
    world = World(
        answer=lambda item, now: dice.random() < 0.6,
        held_per_lane=12,
        loaded_at_once=5,
        at_once=6,
        at_once_per_lane=3,
    )
    number = 0
    for kind, amount in steps:
        if kind == "offer":
            for _ in range(amount):
                number += 1
                session, host = dice.randrange(4), dice.randrange(3)
                new = item(number, session=f"s{session}", origin=f"http://h{host}:80", at=world.now)
                world.offer([new])
        elif kind == "run":
            world.run(world.now + amount / 10)
        else:
            world.restart()
        assert world.machine.held <= 12 * 3
        assert world.machine.running <= 6
    world.run(world.now + 3 * DAY)
    assert set(world.state.values()) <= {"delivered"}
    assert_order_kept(world)
    assert world.machine.held == 0
    assert world.machine.origins() == {}
