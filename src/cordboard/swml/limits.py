"""Every bound of a document and of a running script, in one place (swml.md 4.3)."""

from __future__ import annotations

MAX_DOCUMENT = 1_048_576
"""Bytes of a document, and characters of it once its aliases are expanded."""
MAX_NODES = 50_000
"""Values in one document, aliases expanded."""
MAX_ALIASES = 1_000
MAX_DEPTH = 340
"""Levels of lists and mappings; 64 nested steps need at most 5 levels each."""
MAX_NESTING = 64
"""Levels of nested steps and `execute` frames together."""
MAX_TRANSFERS = 32
MAX_EXPRESSION = 1_024
"""Characters of one JavaScript expression."""
MAX_VALUE = 1_048_576
"""Characters and members of the data one script holds; guards against variables that double in a loop."""
MAX_STEPS = 1_000_000
MAX_STEPS_WITHOUT_PAUSE = 50_000
"""Steps without an action on the call in between: bounds what one turn of a script can cost."""
EVALUATION_COST = 5
"""Steps that one evaluation counts as."""
MAX_EVALUATION_SECONDS = 5.0
"""Processor time of all JavaScript of one script together."""
