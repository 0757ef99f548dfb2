"""What `dest` of `execute` and `transfer` means: a section, a URL, or a whole document (swml.md 1.4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cordboard.swml import codes
from cordboard.swml.checking import is_url
from cordboard.swml.problems import MethodError, nearest
from cordboard.swml.program import Target

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Asking, Interpreter

_SECTIONS = re.compile(r"^sections\s*:", re.MULTILINE)


def target(method: str, dest: str, params: dict[str, Any], interpreter: Interpreter) -> Asking[Target]:
    """The section to run.  Raises `MethodError`."""
    text = dest.strip()
    if text.startswith("{") or ("\n" in text and _SECTIONS.search(text)):
        return Target(interpreter.inline(text), "main", params)
    if text.lower().startswith(("http://", "https://")):
        if not is_url(text):
            raise MethodError(codes.PARSE_ERROR, f"{method}: `dest` is not a valid URL: {text[:120]}")
        return Target((yield from interpreter.fetch(text, params)), "main", params)
    if text.startswith("relay:"):
        raise MethodError(codes.EXECUTE_FAILED, f"{method}: `relay:` destinations are not supported")
    found = interpreter.own_section(text, params)
    if found is None:
        near = nearest(text, interpreter.section_names())
        hint = f"; did you mean `{near}`?" if near else ""
        message = f"{method}: there is no section `{text[:80]}`{hint}"
        raise MethodError(codes.SECTION_UNDEFINED, message)
    return found
