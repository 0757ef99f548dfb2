"""The URLs of recordings: whoever has one may fetch that file, and only until it expires."""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import Enum

FORMATS = ("wav", "mp3", "mp4")
_NAME = re.compile(rf"([0-9a-f-]{{36}})\.({'|'.join(FORMATS)})")
_PURPOSE = b"cordboard recording links"
_LATEST = 1 << 40
"""Unix time; nothing that expires later was signed here."""


class Judgement(Enum):
    """What a link is worth."""

    GOOD = "good"
    FORGED = "forged"
    EXPIRED = "expired"


class RecordingLinks:
    """`key`: the server's signing key; what is used here is derived from it.  Times are Unix times."""

    def __init__(self, key: str, lifetime: int, base_url: str = "") -> None:
        self._key = hmac.digest(key.encode(), _PURPOSE, "sha256")
        self._lifetime = lifetime
        self.base_url = base_url
        """What stands before the path; known when the listener has its port."""

    def make(self, name: str, now: float) -> str:
        """For a file such as `4f1c….wav`."""
        expires = int(now) + self._lifetime
        signature = self._sign(name, expires)
        return f"{self.base_url}/recordings/{name}?expires={expires}&signature={signature}"

    def is_worn(self, url: str, now: float) -> bool:
        """Less than half of its life is left."""
        found = re.search(r"expires=(\d+)", url)
        return found is None or int(found[1]) - now < self._lifetime / 2

    def judge(self, name: str, expires: str, signature: str, now: float) -> Judgement:
        """Of what a request says, however strange."""
        if not (expires.isascii() and expires.isdigit() and len(expires) < 16 and int(expires) < _LATEST):
            return Judgement.FORGED
        right = self._sign(name, int(expires))
        if not hmac.compare_digest(right.encode(), signature.encode("utf-8", "replace")):
            return Judgement.FORGED
        return Judgement.GOOD if now < int(expires) else Judgement.EXPIRED

    def _sign(self, name: str, expires: int) -> str:
        signed = f"{name}\n{expires}".encode("utf-8", "replace")
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()


def is_name(text: str) -> bool:
    """A name that this server gives to a recording, which leads to no other directory."""
    return _NAME.fullmatch(text) is not None
