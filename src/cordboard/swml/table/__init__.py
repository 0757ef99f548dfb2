"""The tables of the methods that SWML has and this server does not run.

Those of the methods that it runs stand with them, in `methods/`.
"""

from __future__ import annotations

from cordboard.swml.properties import Shape
from cordboard.swml.table import ai, ai_sidecar, amazon_bedrock, calls, live, pay

_ALL = (
    ai.AI,
    ai_sidecar.AI_SIDECAR,
    amazon_bedrock.AMAZON_BEDROCK,
    calls.DETECT_MACHINE,
    calls.ENTER_QUEUE,
    calls.JOIN_CONFERENCE,
    calls.JOIN_ROOM,
    live.LIVE_TRANSCRIBE,
    live.LIVE_TRANSLATE,
    pay.PAY,
    calls.RECEIVE_FAX,
    calls.SEND_FAX,
    calls.SEND_SMS,
    calls.SIP_REFER,
    calls.STOP_STREAM,
    calls.STREAM,
    calls.TRANSCRIBE,
    calls.TRANSCRIBE_STOP,
    calls.USER_EVENT,
)

SHAPES: dict[str, Shape] = {shape.method: shape for shape in _ALL}
