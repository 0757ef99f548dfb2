"""What `cordboard explain last` says, run as users run it."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT

from cordboard.server.server import Server


async def explain_last(server: Server) -> str:
    """Of a server of `start_server`."""
    await server.store.flush()
    settings = server.data_directory.parent / "explained.toml"
    settings.write_text(f'[server]\ndata_directory = "{server.data_directory}"\n')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cordboard", "explain", "last", "--config", str(settings)),
        stdout=PIPE,
        stderr=STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    return said.decode()
