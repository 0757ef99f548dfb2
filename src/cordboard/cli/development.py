"""The development profile: what runs when there is no configuration file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cordboard.server.config import Config, Route, ServerSection

CONTEXT = "office"
"""As in the documentation of the SDKs: a program that is copied from there takes the calls."""

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


def development_directory() -> Path:
    """Where the development profile keeps its store: one for each user of the machine.  Raises OSError."""
    directory = Path(tempfile.gettempdir()) / f"cordboard-development-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise OSError(f"{directory} belongs to somebody else")
    return directory


def development_config(directory: Path, document: Path | None = None) -> Config:
    """Everything on loopback; every number and name is answered by `document`, or by the echo of itself.

    A program that is connected and subscribed to `CONTEXT` is asked before the document.
    `directory` is where the server keeps its store.
    """
    if document is None:
        document = directory / "dial.yaml"
        document.write_text(DIAL_WHAT_IS_DIALLED)
    return Config(
        server=ServerSection(data_directory=str(directory / "data")),
        routes={"*": Route(context=CONTEXT, document=str(document.resolve()))},
    )
