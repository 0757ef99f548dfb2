"""The methods a document can use: one file each, and the table of them."""

from __future__ import annotations

from cordboard.swml.methods import (
    answer,
    cond,
    connect,
    denoise,
    execute,
    goto,
    hangup,
    label,
    play,
    prompt,
    record,
    record_call,
    request,
    return_,
    send_digits,
    set_,
    sleep,
    switch,
    tap,
    transfer,
    unset,
)
from cordboard.swml.methods.method import Method
from cordboard.swml.methods.not_built import not_built
from cordboard.swml.table import SHAPES

_BUILT = (
    answer.METHOD,
    cond.METHOD,
    connect.METHOD,
    denoise.METHOD,
    denoise.STOP,
    execute.METHOD,
    goto.METHOD,
    hangup.METHOD,
    label.METHOD,
    play.METHOD,
    prompt.METHOD,
    record.METHOD,
    record_call.METHOD,
    record_call.STOP,
    request.METHOD,
    return_.METHOD,
    send_digits.METHOD,
    set_.METHOD,
    sleep.METHOD,
    switch.METHOD,
    tap.METHOD,
    tap.STOP,
    transfer.METHOD,
    unset.METHOD,
)

METHODS: dict[str, Method] = {method.shape.method: method for method in _BUILT}
"""What the server runs."""

UNBUILT: dict[str, Method] = {name: not_built(shape) for name, shape in sorted(SHAPES.items())}
"""What SWML has besides: known by name, refused when its turn comes."""

ALL: dict[str, Method] = dict(sorted({**METHODS, **UNBUILT}.items()))
"""The whole table."""
