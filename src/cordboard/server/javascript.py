"""Evaluates the JavaScript expressions of scripts in QuickJS (swml.md 3.3).

A context is locked after its creation: every built-in object is frozen, every way to make code from text is
gone, and an expression runs as a strict function of its bindings.  So nothing that one evaluation does can
be seen by another, and contexts are reused (20 times cheaper than new ones).  Values go in and come out as
JSON.  Errors never leave the context as objects: describing one is itself JavaScript, and runs under the
same limits.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import quickjs  # type: ignore[import-untyped]

from cordboard.call.actions import Evaluated

TIME_LIMIT = 0.150
"""Seconds of processor time for one evaluation."""
MEMORY_LIMIT = 16 * 1024 * 1024
STACK_LIMIT = 256 * 1024
MAX_EXPRESSION = 1_024
MAX_RESULT = 1_048_576
"""Characters of the value as JSON."""
MAX_RESULT_DEPTH = 64
QUICK_LIMIT = 0.002
"""Seconds that an evaluation may take on the event loop's own thread."""
USES = 10_000
"""Evaluations after which a context is replaced."""

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")
_WORDS = """arguments await break case catch class const continue debugger default delete do else enum eval
    export extends false finally for function if implements import in instanceof interface let new null
    package private protected public return static super switch this throw true try typeof undefined var void
    while with yield NaN Infinity globalThis"""
_RESERVED = frozenset(_WORDS.split())

_LOCK = r"""
(() => {
  const Code = Function, Mirror = Proxy, Mirrored = Reflect, parse = JSON.parse, stringify = JSON.stringify;
  const roots = [
    globalThis, Iterator, Promise, Mirror, Code, Reflect, Uint8Array, DataView, ArrayBuffer, WeakMap, WeakSet,
    function () {}, function* () {}, async function () {}, async function* () {}, (function* () {})(),
    (async function* () {})(), [][Symbol.iterator](), ""[Symbol.iterator](), new Map().entries(),
    new Set().values(), "".matchAll(/a/g), Iterator.from({ next() {} }), [].values().map(x => x),
    (function () { "use strict"; return arguments; })(), (function () { return arguments; })(), /a/,
    new Date(0), Symbol.prototype, BigInt.prototype, new Error(""), [], {}, "", 0, true,
  ];
  delete Error.stackTraceLimit;
  delete Error.prepareStackTrace;
  const makers = [function () {}, function* () {}, async function () {}, async function* () {}];
  for (const made of makers)
    Object.defineProperty(Object.getPrototypeOf(made), "constructor", { value: undefined });
  const allowed = new Set(`Object Array String Number Boolean Math JSON Date RegExp Map Set Symbol BigInt
    Error EvalError RangeError ReferenceError SyntaxError TypeError URIError InternalError AggregateError
    parseInt parseFloat isNaN isFinite encodeURI encodeURIComponent decodeURI decodeURIComponent escape
    unescape btoa atob Infinity NaN undefined globalThis`.split(/\s+/));
  for (const name of Mirrored.ownKeys(globalThis))
    if (!allowed.has(name)) delete globalThis[name];
  const seen = new Set(), open = roots.slice();
  while (open.length) {
    let item = open.pop();
    if (item === null || item === undefined) continue;
    if (typeof item !== "object" && typeof item !== "function") item = Object(item);
    if (seen.has(item)) continue;
    seen.add(item);
    for (const key of Mirrored.ownKeys(item)) {
      const own = Mirrored.getOwnPropertyDescriptor(item, key);
      if (!("value" in own)) open.push(own.get, own.set);
      else if (typeof own.value === "object" || typeof own.value === "function") open.push(own.value);
    }
    open.push(Object.getPrototypeOf(item));
    Object.freeze(item);
  }
  const byName = list => new Mirror(list, {
    get(target, key) {
      if (typeof key !== "string" || key in target) return target[key];
      const wanted = key.toLowerCase();
      for (const header of target) if (header.name.toLowerCase() === wanted) return header.value;
      return undefined;
    },
  });
  const described = error => {
    if (!(error instanceof Error)) return "the expression threw a value";
    const { name, message } = error;
    const kind = typeof name === "string" ? name : "Error";
    return (kind + ": " + (typeof message === "string" ? message : "")).slice(0, 300);
  };
  const compiled = new Map();
  const compile = (source, names) => {
    const key = names + "\n" + source;
    let made = compiled.get(key);
    if (made === undefined) {
      new Code("[" + source + "\n]");
      made = new Code(names, '"use strict"; return (' + source + "\n)");
      if (compiled.size >= 500) compiled.clear();
      compiled.set(key, made);
    }
    return made;
  };
  return (source, names, json, headersAt, callAt) => {
    try {
      const values = parse(json);
      if (headersAt >= 0) values[headersAt] = byName(values[headersAt]);
      if (callAt >= 0) values[callAt].headers = byName(values[callAt].headers);
      const text = stringify(compile(source, names)(...values));
      return text === undefined ? "null" : text;
    } catch (error) {
      return "!" + described(error);
    }
  };
})()
"""


class JavaScript:
    """A locked context, replaced when something went wrong in it.  Belongs to the thread that uses it."""

    __slots__ = ("_call", "_context", "_uses")

    def __init__(self) -> None:
        self._context: Any = None
        self._call: Any = None
        self._uses = 0

    def evaluate(
        self, expression: str, bindings: dict[str, Any], *, time_limit: float = TIME_LIMIT
    ) -> Evaluated:
        """The value of an expression as plain data.  Never raises: `Evaluated.error` says what failed."""
        if len(expression) > MAX_EXPRESSION:
            return Evaluated(error=f"the expression is longer than {MAX_EXPRESSION:,} characters")
        if "\0" in expression:
            return Evaluated(error="the expression contains a NUL character")
        names = [name for name in sorted(bindings) if _is_bindable(name)]
        try:
            data = msgspec.json.encode([bindings[name] for name in names]).decode()
            expression.encode()
        except (TypeError, UnicodeError, RecursionError, msgspec.MsgspecError):
            return Evaluated(error="the variables cannot be passed to JavaScript")
        return self._evaluate(expression, names, data, bindings, time_limit)

    def _evaluate(
        self, expression: str, names: list[str], data: str, bindings: dict[str, Any], time_limit: float
    ) -> Evaluated:
        headers_at = _index(names, "headers", bindings.get("headers"))
        call = bindings.get("call")
        call_at = _index(names, "call", call.get("headers") if isinstance(call, dict) else None)
        try:
            run = self._ready(time_limit)
            text = run(expression, ",".join(names), data, headers_at, call_at)
        except (quickjs.JSException, UnicodeError, MemoryError) as error:
            self._context = None
            return Evaluated(error=_named(str(error)))
        if isinstance(text, str) and text.startswith("!InternalError"):
            self._context = None
        return _read(text)

    def _ready(self, time_limit: float) -> Any:
        if self._context is None or self._uses >= USES:
            self._context = quickjs.Context()
            self._context.set_max_stack_size(STACK_LIMIT)
            self._call = self._context.eval(_LOCK)
            self._context.set_memory_limit(MEMORY_LIMIT)
            self._uses = 0
        self._uses += 1
        self._context.set_time_limit(time_limit)
        return self._call


def _is_bindable(name: str) -> bool:
    return _IDENTIFIER.match(name) is not None and name not in _RESERVED


def _index(names: list[str], name: str, headers: Any) -> int:
    """Where a list of headers stands among the bindings, -1 if it is not one."""
    if not isinstance(headers, list) or name not in names:
        return -1
    fit = all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in headers)
    return names.index(name) if fit else -1


def _read(text: Any) -> Evaluated:
    if not isinstance(text, str):
        return Evaluated(error="the value is not data")
    if text.startswith("!"):
        return Evaluated(error=_named(text[1:]))
    if len(text) > MAX_RESULT:
        return Evaluated(error="the value is larger than 1 MiB")
    if text.count("[") + text.count("{") > MAX_RESULT_DEPTH and _depth(text) > MAX_RESULT_DEPTH:
        return Evaluated(error="the value is nested too deep")
    try:
        return Evaluated(value=msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError):
        return Evaluated(error="the value contains half of a surrogate pair")


def _depth(text: str) -> int:
    """Levels of lists and mappings in a JSON text; brackets inside strings do not count."""
    depth = deepest = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        char = token.group()
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _named(message: str) -> str:
    first = message.partition("\n")[0][:300]
    if "interrupted" in first:
        return _TOO_LONG
    return "the expression used too much memory" if "out of memory" in first else first


_TOO_LONG = "the expression took too long"
_local = threading.local()
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="javascript")


def _of_this_thread() -> JavaScript:
    found: JavaScript | None = getattr(_local, "javascript", None)
    if found is None:
        found = _local.javascript = JavaScript()
    return found


def evaluate(expression: str, bindings: dict[str, Any], *, time_limit: float = TIME_LIMIT) -> Evaluated:
    """Evaluate in the calling thread's context, at most `time_limit` seconds.  Never raises."""
    return _of_this_thread().evaluate(expression, bindings, time_limit=time_limit)


def syntax_problem(expression: str) -> str | None:
    """What is wrong with an expression, found without running it."""
    wrapped = f"typeof (() => ({expression}\n))"
    return evaluate(wrapped, {}).error if len(wrapped) <= MAX_EXPRESSION else None


def _timed(expression: str, bindings: dict[str, Any], time_limit: float = TIME_LIMIT) -> Evaluated:
    """`evaluate`, and what it cost."""
    begun = time.thread_time()
    outcome = evaluate(expression, bindings, time_limit=time_limit)
    return msgspec.structs.replace(outcome, seconds=time.thread_time() - begun)


def evaluate_at_once(expression: str, bindings: dict[str, Any]) -> Evaluated | None:
    """Evaluate what takes less than 2 ms, on the event loop's own thread; None for what takes longer."""
    outcome = _timed(expression, bindings, QUICK_LIMIT)
    return None if outcome.error == _TOO_LONG else outcome


async def evaluate_aside(expression: str, bindings: dict[str, Any]) -> Evaluated:
    """Evaluate in a thread, so that the event loop goes on.

    Expressions have no effects, so doing this after `evaluate_at_once` gave up is the same as going on.
    """
    return await asyncio.get_running_loop().run_in_executor(_pool, _timed, expression, bindings)
