"""What a call costs in the SIP stack: CPU time of complete calls between two stacks, nothing else.

    python bench/sip_stack.py [CALLS]

A call is INVITE, 100, 180, 200, ACK, BYE, 200: seven messages, each written by one stack and read by the
other.  The figure for a call that is connected through a server (two legs, fourteen messages, of which the
server reads half and writes half) is the same as that for both stacks of one call here.
"""

from __future__ import annotations

import gc
import sys
import time
from itertools import count

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import AckReceived, Answered, InviteReceived, Output, SendMessage
from cordboard.sip.stack import SipStack

CALLER = Endpoint("UDP", "127.0.0.1", 5060)
CALLEE = Endpoint("UDP", "127.0.0.2", 5060)
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
)


class Line:
    """Two stacks, and a clock that goes on by a hundredth of a second with each call."""

    def __init__(self) -> None:
        ids = count(0x10000000)
        self.caller = SipStack(local=CALLER, token=lambda: f"{next(ids):016x}")
        self.callee = SipStack(local=CALLEE, token=lambda: f"{next(ids):016x}")
        self.now = 0.0
        self.messages = 0
        self.octets = 0

    def call(self) -> None:
        """One call from its INVITE to its end."""
        self.now += 0.01
        session, outputs = self.caller.invite(
            uri="sip:+15550100@127.0.0.2:5060",
            to="<sip:+15550100@127.0.0.2>",
            from_='"Alice" <sip:alice@127.0.0.1>',
            destination=CALLEE,
            body=SDP,
            now=self.now,
        )
        self._carry(outputs, self.callee, CALLER)
        self._carry(self.caller.bye(session, now=self.now), self.callee, CALLER)
        for stack in (self.caller, self.callee):
            when = stack.next_timeout()
            if when is not None and when <= self.now:
                stack.handle_timeout(self.now)

    def _carry(self, outputs: list[Output], to: SipStack, source: Endpoint) -> None:
        for output in outputs:
            if isinstance(output, SendMessage):
                self.messages += 1
                self.octets += len(output.data)
                back, there = (self.caller, CALLEE) if to is self.callee else (self.callee, CALLER)
                self._carry(to.receive(output.data, source, self.now), back, there)
            elif isinstance(output, InviteReceived):
                self._carry(self.callee.ring(output.session, now=self.now), self.caller, CALLEE)
                self._carry(self.callee.accept(output.session, body=SDP, now=self.now), self.caller, CALLEE)
            else:
                assert not isinstance(output, Answered | AckReceived) or output.session


ROUNDS = 10


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    line = Line()
    for _ in range(4_000):
        line.call()
    gc.collect()
    gc.freeze()
    messages = line.messages
    rounds = [_round(line, calls // ROUNDS) for _ in range(ROUNDS)]
    each = (line.messages - messages) / (calls // ROUNDS * ROUNDS)
    best, middle = min(rounds), sorted(rounds)[ROUNDS // 2]
    print(f"{each:.1f} messages a call, {calls} calls in {ROUNDS} rounds")
    print(f"best round    {best * 1e6:6.0f} us of CPU a call, {best / each * 1e6:5.1f} us a message")
    print(f"middle round  {middle * 1e6:6.0f} us of CPU a call, {middle / each * 1e6:5.1f} us a message")
    print(f"alive at the end: {line.caller.counts()}, defects {line.caller.defects + line.callee.defects}")


def _round(line: Line, calls: int) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    for _ in range(calls):
        line.call()
    return (time.process_time() - began) / calls


if __name__ == "__main__":
    main()
