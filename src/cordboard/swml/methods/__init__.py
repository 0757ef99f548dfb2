"""The methods a document can use: one file each, and the table of them."""

from __future__ import annotations

from cordboard.swml import unbuilt
from cordboard.swml.methods import (
    answer,
    cond,
    connect,
    execute,
    goto,
    hangup,
    label,
    play,
    return_,
    set_,
    sleep,
    switch,
    transfer,
    unset,
)
from cordboard.swml.methods.method import Method
from cordboard.swml.methods.not_built import not_built

_BUILT = (
    answer.METHOD,
    cond.METHOD,
    connect.METHOD,
    execute.METHOD,
    goto.METHOD,
    hangup.METHOD,
    label.METHOD,
    play.METHOD,
    return_.METHOD,
    set_.METHOD,
    sleep.METHOD,
    switch.METHOD,
    transfer.METHOD,
    unset.METHOD,
)

METHODS: dict[str, Method] = {method.shape.method: method for method in _BUILT}
"""What the server runs."""

UNBUILT: dict[str, Method] = {name: not_built(name) for name in sorted(unbuilt.METHODS)}
"""What SWML has besides: known by name, refused when its turn comes."""
