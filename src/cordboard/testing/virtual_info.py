"""What calls in virtual time begin with: what is known of them, and drivers that follow a list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cordboard.call.actions import (
    Action,
    CallInfo,
    DocumentFailed,
    Driver,
    FetchDocument,
    Finished,
    Request,
    Result,
    Turn,
)
from cordboard.call.effects import Dial


class ListDriver:
    """A driver that asks for a list of things and keeps the results."""

    def __init__(self, steps: Iterable[Action | Request | Finished]) -> None:
        self._steps = iter(steps)
        self.results: list[Result] = []

    def start(self) -> Turn:
        """The first step."""
        return Turn(next(self._steps, Finished()))

    def resume(self, result: Result) -> Turn:
        """The next step."""
        self.results.append(result)
        return Turn(next(self._steps, Finished()))

    def variables(self) -> dict[str, Any]:
        """None."""
        return {}


def caller_info(call_id: str) -> CallInfo:
    """What is known of a caller in virtual time."""
    return CallInfo(
        call_id=call_id,
        node_id="node",
        segment_id=call_id,
        project_id="project",
        space_id="space",
        session_id="session",
        call_state="created",
        direction="inbound",
        type="phone",
        from_="+15550100001",
        to="+15550100002",
    )


def dialled_info(dial: Dial) -> CallInfo:
    """What is known of a call that was dialled in virtual time."""
    return CallInfo(
        call_id=dial.call_id,
        node_id="node",
        segment_id=dial.call_id,
        project_id="project",
        space_id="space",
        session_id=dial.session_id,
        call_state="created",
        direction="outbound",
        type=dial.destination.kind,
        from_=dial.from_,
        to=dial.destination.to,
        from_name=dial.from_name,
        parent_call_id=dial.parent,
        transfers=dial.transfers,
        tag=dial.destination.tag,
        owner=dial.owner,
        device=dial.destination.device,
        sole=dial.sole,
    )


def confirm_driver(dial: Dial) -> Driver | None:
    """What decides whether the far end is accepted; None: its answer does."""
    confirm = dial.destination.confirm
    if confirm is None:
        return None
    if confirm.url is None:
        return ListDriver(confirm.document)
    return _FetchDriver(confirm.url)


class _FetchDriver(ListDriver):
    """Fetches a document, and accepts if it is there."""

    def __init__(self, url: str) -> None:
        super().__init__([FetchDocument(url=url, params={}, vars={})])

    def resume(self, result: Result) -> Turn:
        if isinstance(result, DocumentFailed):
            return Turn(Finished(failed=result.sentence))
        return super().resume(result)
