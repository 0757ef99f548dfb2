"""`Script`: a SWML document that drives one call (swml.md 4).  The driver of `cordboard.call.actions`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from cordboard.call.actions import (
    CallInfo,
    Evaluate,
    FetchDocument,
    Finished,
    Hangup,
    Result,
    SendRequest,
    Turn,
)
from cordboard.call.plan import Confirm
from cordboard.swml import codes
from cordboard.swml.confirm_steps import REFUSED
from cordboard.swml.document import Document, load
from cordboard.swml.interpreter import Interpreter
from cordboard.swml.problems import MethodError, ScriptStopped
from cordboard.swml.program import Target
from cordboard.swml.scopes import Scopes, Variables


def parse(body: bytes, source: str) -> Document:
    """`load` with the arguments in a row: the default of `Script.cache`."""
    return load(body, source=source)


class Script:
    """Runs a document, or the one that a URL gives.  Pure: whatever takes time is asked for in a `Turn`.

    `cache` turns the bytes of a document into a `Document`, and may remember it.  No input makes `start` or
    `resume` raise, except a result of another kind than the last turn asked for (`TypeError`).
    """

    __slots__ = ("_fallback_url", "_interpreter", "_over", "_running", "_url")

    def __init__(
        self,
        document: Document | None,
        info: CallInfo,
        *,
        url: str | None = None,
        fallback_url: str | None = None,
        vars: Mapping[str, Any] | None = None,
        envs: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        cache: Callable[[bytes, str], Document] = parse,
        refused: frozenset[str] = frozenset(),
    ) -> None:
        if document is None and url is None:
            raise ValueError("a script needs a document or a URL")
        scopes = Scopes(info, Variables(vars or {}), dict(envs or {}), dict(params or {}))
        self._interpreter = Interpreter(scopes, cache, refused)
        self._url = url
        self._fallback_url = fallback_url
        self._running = self._run(document)
        self._over = False

    @classmethod
    def confirm(
        cls,
        confirm: Confirm,
        info: CallInfo,
        *,
        envs: Mapping[str, Any] | None = None,
        cache: Callable[[bytes, str], Document] = parse,
    ) -> Script:
        """The script of a dialled call that has answered (swml.md 7.10): its own `call`, no variables.

        `Finished` means accepted; with `failed` the document could not be run, and `Hangup` is a refusal.
        """
        document: Document | None = confirm.document
        url = None if document is not None else confirm.url
        return cls(document, info, url=url, envs=envs, cache=cache, refused=REFUSED)

    def start(self) -> Turn:
        return self._advance(None)

    def resume(self, result: Result) -> Turn:
        return self._advance(result)

    def variables(self) -> dict[str, Any]:
        return dict(self._interpreter.scopes.vars.values)

    def _advance(self, result: Result | None) -> Turn:
        if self._over:
            return Turn(Finished())
        interpreter = self._interpreter
        wanted: Any
        try:
            wanted = self._running.send(result)
        except StopIteration as end:
            wanted = Finished(failed=end.value)
        except RecursionError:
            wanted = self._too_deep()
        if not isinstance(wanted, (Evaluate, FetchDocument, SendRequest)):
            interpreter.paused()
        self._over = isinstance(wanted, (Finished, Hangup))
        warnings = tuple(interpreter.warnings)
        interpreter.warnings.clear()
        return Turn(wanted, warnings)

    def _too_deep(self) -> Finished:
        """Data nested deeper than any honest document needs."""
        message = "the data of the script is nested too deep"
        self._interpreter.error(codes.INTERNAL_ERROR, message)
        return Finished(failed=message)

    def _run(self, document: Document | None) -> Generator[Any, Result | None, str | None]:
        """Returns why the script failed as a whole, None if it came to its end."""
        interpreter = self._interpreter
        try:
            if document is None:
                document = yield from interpreter.fetch(
                    self._url or "", interpreter.scopes.params, self._fallback_url
                )
            yield from interpreter.run(Target(document, "main", interpreter.scopes.params))
        except (MethodError, ScriptStopped) as error:
            interpreter.error(error.code, error.message)
            return error.message
        return None
