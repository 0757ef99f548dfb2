"""The development profile: what runs when there is no configuration file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cordboard.server.config import Config, Route, ServerSection

DIAL_WHAT_IS_DIALLED = """\
# Connects whoever calls to the number or name that was dialled, among the simulated phones.
version: 1.0.0
sections:
  main:
    - set:
        name: "${call.to.split(':').pop().split('@')[0]}"
    - connect:
        to: "${call.to.startsWith('+') ? call.to : 'sip:' + name + '@phones.test'}"
"""


def development_config(document: Path | None = None) -> Config:
    """Everything on loopback; every number and name is answered by `document`, or by the echo of itself."""
    directory = Path(tempfile.gettempdir()) / "cordboard-development"
    directory.mkdir(exist_ok=True)
    if document is None:
        document = directory / "dial.yaml"
        document.write_text(DIAL_WHAT_IS_DIALLED)
    return Config(
        server=ServerSection(data_directory=str(directory / "data")),
        routes={"*": Route(document=str(document.resolve()))},
    )
