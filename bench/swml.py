"""CPU time of SWML: loading a document, running a script, evaluating an expression.

python bench/swml.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cordboard.call.actions import CallInfo, ConnectDone, Done, Evaluate
from cordboard.server.javascript import JavaScript, evaluate
from cordboard.swml.document import Document, load
from cordboard.swml.script import Script

PLAIN = """version: 1.0.0
sections:
  main:
    - answer: {}
    - connect:
        to: "sip:bob@127.0.0.1:5060;transport=udp"
        timeout: 20
        call_state_url: "http://127.0.0.1:8080/state"
    - hangup: {}
"""
TEMPLATED = """version: 1.0.0
sections:
  main:
    - answer: {}
    - set: {dest: "sip:bob@127.0.0.1:5060", wait: 20}
    - connect:
        from: "${call.from}"
        serial:
          - {to: "${dest}", timeout: "${vars.wait}", headers: [{name: X-Call, value: "${call.call_id}"}]}
          - {to: "sip:${params.backup}@127.0.0.1"}
        result: {case: {failed: [{hangup: busy}]}}
    - hangup: {}
"""
INFO = CallInfo(
    call_id="c",
    node_id="n",
    segment_id="s",
    project_id="p",
    space_id="x",
    session_id="e",
    call_state="created",
    direction="inbound",
    type="sip",
    from_="sip:alice@127.0.0.1",
    to="sip:bob@127.0.0.1",
)


def run(document: Document) -> None:
    script = Script(document, INFO, params={"backup": "carol"})
    script.start()
    script.resume(Done())
    script.resume(ConnectDone(connected=True))


def run_with_expression(document: Document) -> None:
    script = Script(document, INFO)
    turn = script.start()
    while isinstance(turn.next, Evaluate):
        turn = script.resume(evaluate(turn.next.expression, turn.next.bindings))


def measure(name: str, work: Callable[[], object], times: int) -> None:
    for _ in range(times // 10 + 1):
        work()
    started = time.process_time()
    for _ in range(times):
        work()
    print(f"{name:52} {(time.process_time() - started) / times * 1e6:9.1f} µs")


def main() -> None:
    plain, templated = load(PLAIN, source="plain"), load(TEMPLATED, source="templated")
    conditional = load(
        "sections: {main: [{cond: [{when: \"call.type == 'sip'\", then: [hangup]}]}]}", source="c"
    )
    measure("load YAML, 9 lines", lambda: load(PLAIN, source="plain"), 500)
    measure("load YAML, 14 lines with placeholders", lambda: load(TEMPLATED, source="templated"), 500)
    measure("run answer + connect + hangup (cached document)", lambda: run(plain), 5_000)
    measure("run with placeholders, two destinations, result", lambda: run(templated), 5_000)
    measure("run one condition in JavaScript", lambda: run_with_expression(conditional), 5_000)
    measure("evaluate `n + 1` in a used context", lambda: evaluate("n + 1", {"n": 1}), 5_000)
    measure("evaluate `1` in a new context", lambda: JavaScript().evaluate("1", {}), 50)


if __name__ == "__main__":
    main()
