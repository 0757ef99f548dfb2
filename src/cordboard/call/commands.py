"""What a client can ask of a call at any time, beside the actions: to change or end what goes on.

A client's call has no script that is asked for the next action; commands come as facts (`Commanded`), several
may be under way at once, told apart by their control id, and each is answered once (`CommandAnswered`) before
the first report of what it began.
"""

from __future__ import annotations

import msgspec

from cordboard.call.actions import Action


class StopOperation(msgspec.Struct, frozen=True, kw_only=True):
    """End what runs under that id; its last report follows."""

    control_id: str
    kind: str
    """`play`, `record`, `play_and_collect`, `collect`, `detect`, `tap`: it must be of that kind."""


class PauseOperation(msgspec.Struct, frozen=True, kw_only=True):
    """Pause a play or a recording."""

    control_id: str
    kind: str
    """`play` or `record`"""
    skip: bool = False
    """Of a recording: leave the pause out of the file; otherwise it is silence there."""


class ResumeOperation(msgspec.Struct, frozen=True, kw_only=True):
    """Go on with a paused play or recording."""

    control_id: str
    kind: str


class SetVolume(msgspec.Struct, frozen=True, kw_only=True):
    """Change the volume of a play, or of the playing of a play_and_collect."""

    control_id: str
    kind: str
    """`play` or `play_and_collect`"""
    volume: float
    """Gain in dB, -40 to 40."""


class StartInputTimers(msgspec.Struct, frozen=True, kw_only=True):
    """Let the `initial_timeout` of a `Collect` begin."""

    control_id: str


class Disconnect(msgspec.Struct, frozen=True):
    """Leave the bridge; both calls stay up."""


Command = (
    Action | StopOperation | PauseOperation | ResumeOperation | SetVolume | StartInputTimers | Disconnect
)
