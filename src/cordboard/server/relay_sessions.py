"""The sessions of all clients: made, kept on disk, and taken over from an earlier run of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

import msgspec

from cordboard.call.secrecy import printed
from cordboard.relay.connection import Patience
from cordboard.relay.handshake import Ids, Signer
from cordboard.relay.open_ends import Event, OpenEnds
from cordboard.relay.projection import Projection
from cordboard.relay.session import Limits, Session
from cordboard.server.relay_journal import Journal, Snapshot
from cordboard.server.relay_stored import MOST_ANSWERS, StoredSession, as_answer, event_id, from_answer

MAX_SESSIONS = 20_000


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a hub is made with."""

    node_id: str
    space_id: str
    signing_key: str
    limits: Limits
    patience: Patience = Patience()

    def __repr__(self) -> str:
        return printed(self, "signing_key")


class Client:
    """A session and what the shell keeps for it."""

    __slots__ = ("dials", "due", "ends", "left_at", "number", "projection", "session", "timer")

    def __init__(self, number: int, session: Session, projection: Projection) -> None:
        self.number = number
        """Its name in the journal."""
        self.session = session
        self.projection = projection
        self.ends = OpenEnds()
        self.left_at: float | None = None
        """Since when it has no socket, in seconds since the epoch."""
        self.dials: set[str] = set()
        self.timer: asyncio.TimerHandle | None = None
        self.due: float | None = None


class Sessions:
    """`clients`: all of them, by their protocol strings."""

    def __init__(self, setting: Setting, signer: Signer, new_id: Callable[[], str], journal: Journal) -> None:
        self.clients: dict[str, Client] = {}
        self._setting = setting
        self._signer = signer
        self._new_id = new_id
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._last_number = 0

    def new(self, name: str, project: str) -> Client | None:
        """None where there is no room."""
        if len(self.clients) >= MAX_SESSIONS:
            return None
        client = self._make(self._last_number + 1, name, project)
        self._journal.session(stored(client))
        return client

    def _make(self, number: int, name: str, project: str) -> Client:
        self._last_number = max(number, self._last_number)
        session = Session(
            name,
            project=project,
            ids=Ids(node=self._setting.node_id, session=self._new_id()),
            space_id=self._setting.space_id,
            signer=self._signer,
            new_id=self._new_id,
            now=self._loop.time(),
            limits=self._setting.limits,
        )
        client = self.clients[name] = Client(number, session, Projection(self._setting.node_id))
        return client

    def restore(self, sessions: Iterable[StoredSession], at: float) -> Iterator[tuple[Client, list[Event]]]:
        """Those that are not over by now, and what each is owed.  `at`: now, in seconds since the epoch.

        Their numbers stay: the files of both runs may be read together once more.
        """
        for one in sessions:
            self._last_number = max(one.number, self._last_number)
            left_at = at if one.left_at is None else one.left_at
            rest = min(left_at - at, 0.0) + self._setting.limits.without_socket
            if rest <= 0.0 or not self._signer.is_ours(one.protocol, one.project):
                continue
            client = self._make(one.number, one.protocol, one.project)
            client.left_at = left_at
            kept = [(event_id(frame), bytes(frame)) for frame in one.frames]
            answers = [from_answer(answer) for answer in one.answers]
            client.session.take_over(kept, one.last, self._loop.time() + rest, answers)
            client.session.contexts.update(dict.fromkeys(one.contexts))
            yield client, one.ends.last_events()

    def snapshots(self) -> list[Snapshot]:
        """For the journal: those with a socket first, then those who lost theirs last."""
        clients = sorted(self.clients.values(), key=lambda client: -(client.left_at or float("inf")))
        return [_snapshot(client) for client in clients]


def stored(client: Client) -> StoredSession:
    """As it is now."""
    session = client.session
    last, kept = session.kept()
    return StoredSession(
        number=client.number,
        protocol=session.protocol,
        project=session.project,
        contexts=list(session.contexts),
        left_at=client.left_at,
        last=last,
        frames=[msgspec.Raw(frame) for frame in kept],
        answers=[as_answer(answer) for answer in session.latest_answers(MOST_ANSWERS)],
        ends=client.ends,
    )


def _snapshot(client: Client) -> Snapshot:
    return lambda: None if client.session.is_over else stored(client)
