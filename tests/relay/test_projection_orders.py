"""Whatever the order in which legs ring, answer, win and end: the SDKs are told nothing that breaks them.

Each leg goes through its life in order; the lives are mixed at random, and so is the moment at which the dial
or the connect learns of an answer, which may be after the end of that leg.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cordboard.call.effects import (
    CallStateChanged,
    ConnectStateChanged,
    DialStateChanged,
    PlayStateChanged,
)
from cordboard.call.info import CallInfo
from cordboard.call.reasons import ending
from cordboard.relay.projection import Event, Projection

ENDED = ending("hangup_far_end")
STATE, DIAL, CONNECT = "calling.call.state", "calling.call.dial", "calling.call.connect"
LIVES = st.lists(
    st.sampled_from(
        [
            ("created", "ended"),
            ("created", "ringing", "ended"),
            ("created", "ringing", "answered", "ended"),
            ("created", "answered", "ended"),
        ]
    ),
    min_size=1,
    max_size=5,
)


def info(call_id: str, *, parent: str | None, sole: bool) -> CallInfo:
    return CallInfo(
        call_id=call_id,
        node_id="n",
        segment_id="s",
        project_id="p",
        space_id="sp",
        session_id="session",
        call_state="created",
        direction="outbound" if call_id != "a" else "inbound",
        type="sip",
        from_="sip:a@a",
        to="sip:b@b",
        tag="t" if call_id != "a" else None,
        parent_call_id=parent,
        sole=sole,
    )


class Run:
    """The lives of some legs, mixed; one of them may win once it has answered."""

    def __init__(self, lives: list[tuple[str, ...]], draw: st.DataObject, parent: str | None) -> None:
        self.projection = Projection("n")
        self.told: list[Event] = []
        sole = len(lives) == 1
        self.legs = {f"leg{n}": info(f"leg{n}", parent=parent, sole=sole) for n in range(len(lives))}
        self.left = {name: list(life) for name, life in zip(self.legs, lives, strict=True)}
        self.answered: list[str] = []
        self.ended: list[str] = []
        self.winner: str | None = None
        self._draw = draw

    def step(self) -> None:
        """One leg goes on."""
        name = self._draw.draw(st.sampled_from([name for name, life in self.left.items() if life]))
        state = self.left[name].pop(0)
        if state == "answered":
            self.answered.append(name)
        if state == "ended":
            self.ended.append(name)
        happening = CallStateChanged(state=state, ending=ENDED if state == "ended" else None)
        self.told += self.projection.events(self.legs[name], happening, {})

    @property
    def is_going_on(self) -> bool:
        return any(self.left.values())

    def somebody_wins(self) -> bool:
        """Whether one that has answered is found to be the winner now: nobody is dialled after that."""
        if (
            self.winner is not None
            or not self.answered
            or not self.all_dialled
            or not self._draw.draw(st.booleans())
        ):
            return False
        self.winner = self._draw.draw(st.sampled_from(self.answered))
        return True

    @property
    def all_dialled(self) -> bool:
        return all("created" not in life for life in self.left.values())

    def states(self, name: str) -> list[dict[str, Any]]:
        return [params for kind, params in self.told if kind == STATE and params["call_id"] == name]

    def index(self, kind: str, **wanted: Any) -> int:
        return next(
            n for n, event in enumerate(self.told) if event[0] == kind and wanted.items() <= event[1].items()
        )


def check_lives(run: Run, lives: list[tuple[str, ...]]) -> None:
    """Nothing is lost, nothing is told twice, and `ending` comes right before the last."""
    for name, life in zip(run.legs, lives, strict=True):
        wanted = [*life[:-1], "ending", "ended"]
        assert [params["call_state"] for params in run.states(name)] == wanted
        ending_at = run.index(STATE, call_id=name, call_state="ending")
        assert run.told[ending_at + 1][1].items() >= {"call_id": name, "call_state": "ended"}.items()


def check_tags(run: Run, winner: str | None) -> None:
    """A sole leg always has its tag; of several only the winner, from its answer on."""
    for name in run.legs:
        for params in run.states(name):
            before = params["call_state"] in ("created", "ringing")
            tagged = len(run.legs) == 1 or (name == winner and not before)
            assert params.get("tag") == ("t" if tagged else None)


@given(lives=LIVES, data=st.data())
def test_a_dial_ends_once_and_is_safe_for_every_sdk(
    lives: list[tuple[str, ...]], data: st.DataObject
) -> None:
    run = Run(lives, data, parent=None)
    dial = info("dial", parent=None, sole=True)
    run.told += run.projection.events(dial, DialStateChanged(state="dialing"), {})
    won_alive = False
    failed_early = False
    while run.is_going_on:
        run.step()
        if not failed_early and run.somebody_wins():
            won_alive = run.winner not in run.ended
            happening = DialStateChanged(state="answered", call_id=run.winner)
            run.told += run.projection.events(dial, happening, {})
        elif not failed_early and not run.answered and run.all_dialled and data.draw(st.booleans()):
            failed_early = True
            run.told += run.projection.events(dial, DialStateChanged(state="failed", ending=ENDED), {})
    if run.winner is None and not failed_early:
        run.told += run.projection.events(dial, DialStateChanged(state="failed", ending=ENDED), {})

    created = [leg for leg in run.legs if run.states(leg)]
    assert created == list(run.legs)
    check_lives(run, lives)
    check_tags(run, run.winner if won_alive else None)
    terminal = [params for kind, params in run.told if kind == DIAL and params["dial_state"] != "dialing"]
    assert [params["dial_state"] for params in terminal] == ["answered" if won_alive else "failed"]
    if not won_alive:
        assert run.told[-1][0] == DIAL
    else:
        answered_at = run.index(STATE, call_id=run.winner, call_state="answered")
        dial_at = run.index(DIAL, dial_state="answered")
        assert answered_at - dial_at == (1 if len(lives) == 1 else -1)
        assert terminal[0]["call"]["tag"] == "t"
    assert len(run.projection) == 0


@given(lives=LIVES, data=st.data())
def test_a_connect_is_safe_for_every_sdk(lives: list[tuple[str, ...]], data: st.DataObject) -> None:
    run = Run(lives, data, parent="a")
    a = info("a", parent=None, sole=True)
    run.projection.offer(a, "office")
    run.projection.asked("a")
    won_alive = False
    while run.is_going_on:
        run.step()
        if run.somebody_wins():
            won_alive = run.winner not in run.ended
            happening = ConnectStateChanged(state="connected", peer_call_id=run.winner, peer_tag="t")
            run.told += run.projection.events(a, happening, {})
    check_lives(run, lives)
    check_tags(run, run.winner if won_alive else None)
    if won_alive:
        answered_at = run.index(STATE, call_id=run.winner, call_state="answered")
        assert answered_at < run.index(CONNECT, connect_state="connected")
    assert all(params["call_id"] == "a" for kind, params in run.told if kind == CONNECT)
    run.projection.forget("a")
    assert len(run.projection) == 0


CALLS = {
    "a": info("a", parent=None, sole=True),
    "b": info("b", parent="a", sole=True),
    "c": info("c", parent="a", sole=False),
    "d": info("d", parent=None, sole=False),
    "dial": info("dial", parent=None, sole=True),
}
NAMES = st.sampled_from(sorted(CALLS))
ANYTHING = st.one_of(
    st.builds(
        CallStateChanged,
        state=st.sampled_from(["created", "ringing", "answered", "ending", "ended"]),
        ending=st.sampled_from([None, ENDED]),
    ),
    st.builds(
        ConnectStateChanged,
        state=st.sampled_from(["connecting", "connected", "failed", "disconnected"]),
        peer_call_id=st.none() | NAMES,
        ending=st.sampled_from([None, ENDED]),
    ),
    st.builds(
        DialStateChanged,
        state=st.sampled_from(["dialing", "answered", "failed"]),
        call_id=st.none() | NAMES,
        ending=st.sampled_from([None, ENDED]),
    ),
    st.builds(PlayStateChanged, control_id=st.just("c"), state=st.sampled_from(["playing", "finished"])),
)


@given(st.lists(st.tuples(NAMES, ANYTHING), max_size=40))
def test_nothing_is_told_of_a_call_that_the_client_has_forgotten(steps: list[tuple[str, Any]]) -> None:
    """Whatever comes, in whatever order: a call is known from its `created` to its `ended`, and no longer."""
    projection = Projection("n")
    projection.offer(CALLS["a"], "office")
    known = {"a"}
    for name, happening in steps:
        projection.asked(name)
        for kind, params in projection.events(CALLS[name], happening, {}):
            if kind == DIAL:
                assert "call_id" not in params
                continue
            if params.get("call_state") == "created":
                known.add(params["call_id"])
            assert params["call_id"] in known
            assert ("tag" in params) <= (kind in (STATE, CONNECT))
            if params.get("call_state") == "ended":
                known.remove(params["call_id"])
