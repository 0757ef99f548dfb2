"""What a simulated phone observed of one call."""

from __future__ import annotations

from typing import Literal

import msgspec

from cordboard.testing.phone_audio import AudioReport

Direction = Literal["in", "out"]


class PhoneReport(msgspec.Struct, kw_only=True):
    """Times are seconds of the event loop's clock; None = it did not happen."""

    direction: Direction
    """`in`: somebody called the phone."""
    call_id: str = ""
    """The SIP Call-ID."""
    local_uri: str = ""
    remote_uri: str = ""
    begun_at: float = 0.0
    """The INVITE."""
    ringing_at: float | None = None
    """First 180 to 183, in either direction."""
    answered_at: float | None = None
    ended_at: float | None = None
    provisionals: list[int] = []
    """Those received (out), or sent (in)."""
    status: int = 0
    """Final response to the INVITE, received or sent; 0 = none."""
    reason: str = ""
    """Reason phrase of a refusal that was received."""
    cause: str = ""
    """Why the session ended, in the words of `cordboard.sip.events.EndCause`; "" while it lasts."""
    ended_by: Literal["", "us", "them"] = ""
    """Who gave up, refused or hung up; "" = neither (a timeout, a broken wire), or not yet over."""
    problem: str = ""
    """What was wrong with the far end's description of media, as a sentence."""
    digits_heard: str = ""
    audio: AudioReport = msgspec.field(default_factory=AudioReport)

    @property
    def ring_time(self) -> float | None:
        """Seconds from the INVITE to the first sign of ringing."""
        return None if self.ringing_at is None else self.ringing_at - self.begun_at

    @property
    def answer_time(self) -> float | None:
        """Seconds from the INVITE to the answer."""
        return None if self.answered_at is None else self.answered_at - self.begun_at

    @property
    def audio_delay(self) -> float | None:
        """Seconds from the answer to the first sound; negative for early media."""
        heard = self.audio.first_audio_at
        return None if heard is None or self.answered_at is None else heard - self.answered_at
