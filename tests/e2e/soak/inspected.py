"""`inspected.py COUNTS T1 T2 T4 serve CONFIG`: the server as it is, that tells on SIGUSR1 what it holds.

COUNTS is the file to which that goes, as JSON; the timers are those of SIP, in seconds.  A script, because
what a test process looks into must be a process of its own all the same.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import sys
from pathlib import Path

import cordboard.server.server as server_module
from cordboard.cli import main
from cordboard.server.server import Server
from cordboard.sip.stack import SipStack
from cordboard.sip.timers import Timers

COUNTS = Path(sys.argv[1])


class Inspected(Server):
    """Writes its figures when it is asked to."""

    async def start(self) -> None:
        await super().start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._write)

    def _write(self) -> None:
        making = COUNTS.with_suffix(".making")
        making.write_text(json.dumps({"held": self._held(), "defects": self._defects()}))
        os.replace(making, COUNTS)

    def _held(self) -> dict[str, int]:
        hub, inbound = self.relay.hub, self.relay.inbound
        return {
            **self.exchange.counts(),
            **{f"relay {name}": count for name, count in hub.counts().items()},
            "offers": len(inbound),
            "routes of offers": len(inbound._fallbacks),
            "projections": sum(len(client.projection) for client in hub._clients.values()),
            "dials": sum(len(client.dials) for client in hub._clients.values()),
            "unproven": hub.unproven(),
            "sources": len(self.relay.sockets._sources),
            "workers": len(self.media.worker_pids()),
            "all tasks": len(asyncio.all_tasks()),
        }

    def _defects(self) -> dict[str, int]:
        return {
            "switchboard": self.exchange.switchboard.defects,
            "SIP": self.exchange.legs.stack.defects,
            "RELAY": self.relay.hub.defects,
        }


if __name__ == "__main__":
    t1, t2, t4 = map(float, sys.argv[2:5])
    vars(server_module)["SipStack"] = functools.partial(SipStack, timers=Timers(t1=t1, t2=t2, t4=t4))
    vars(sys.modules["cordboard.cli.serve"])["Server"] = Inspected
    del sys.argv[1:5]
    main()
