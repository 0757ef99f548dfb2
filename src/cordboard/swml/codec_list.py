"""The `codecs` of `answer` and `connect` (swml.md 7.8)."""

from __future__ import annotations

from cordboard.call.codec_wish import KNOWN, CodecWish, read_codecs
from cordboard.sdp.codec import G729
from cordboard.sdp.codecs import ours
from cordboard.swml import codes
from cordboard.swml.problems import MethodError, Note, dotted, nearest, shown

MAX_CODECS = 24


def codecs_of(
    text: str, method: str, path: tuple[str | int, ...], notes: list[Note]
) -> tuple[CodecWish, ...]:
    """The known ones, each unknown one with a note.  Raises `MethodError` when none is left."""
    found = read_codecs(text)
    allowed = ", ".join(sorted(KNOWN))
    for entry in found.unknown[:MAX_CODECS]:
        near = nearest(entry.upper(), KNOWN)
        hint = f"; did you mean `{near}`?" if near else f"; known are {allowed}"
        message = f"{method}: the codec {shown(entry)} is unknown and left out{hint}"
        notes.append(Note(codes.PARAMETER_INVALID, message, path))
    # G729 is offered where the other leg speaks it, which is not known here.
    for spelt in ours(found.wishes[:MAX_CODECS], other=(G729,)).unsupported:
        message = f"{method}: the codec {shown(spelt)} cannot be spoken here and is left out"
        notes.append(Note(codes.PARAMETER_INVALID, message, path))
    if found.unknown and not found.wishes:
        message = f"{method}: `{dotted(path)}` has no known codec, found {shown(text)}"
        raise MethodError(codes.PARAMETER_INVALID, message, path=path, found=shown(text), allowed=allowed)
    return found.wishes[:MAX_CODECS]
