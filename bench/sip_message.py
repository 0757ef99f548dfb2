"""What reading and writing SIP messages costs, in microseconds of processor time a message.

    python bench/sip_message.py [messages]

Each message has its own tags, branch and Call-ID, so that nothing is remembered from one to the next but
what a real server would remember too (the addresses of its own peers).  The best of five rounds counts.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable

from cordboard.sip.headers import NameAddr, Via
from cordboard.sip.message import Request, Response, parse

INVITE = (
    "INVITE sip:+15551230002@192.0.2.1:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.5:5062;branch=z9hG4bK{0};rport\r\n"
    "Max-Forwards: 70\r\n"
    'From: "Alice" <sip:+15551230001@192.0.2.5:5062>;tag=t{0}\r\n'
    "To: <sip:+15551230002@192.0.2.1:5060>\r\n"
    "Call-ID: {0}@192.0.2.5\r\n"
    "CSeq: 1 INVITE\r\n"
    "Contact: <sip:+15551230001@192.0.2.5:5062>\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n"
    "Supported: timer, replaces\r\n"
    "User-Agent: bench\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: 10\r\n"
    "\r\n"
    "v=0\r\ns=-\r\n"
)
OK = INVITE.replace("INVITE sip:+15551230002@192.0.2.1:5060 SIP/2.0", "SIP/2.0 200 OK").replace(
    "5060>\r\nCall", "5060>;tag=u{0}\r\nCall"
)
CONTACT = [("Contact", "<sip:192.0.2.1:5060>")]


def read(message: Request | Response) -> tuple[Via, NameAddr, NameAddr, str, int]:
    return message.via, message.from_, message.to, message.call_id, message.cseq.number


def parse_only(data: bytes) -> None:
    parse(data)


def parse_and_read(data: bytes) -> None:
    read(parse(data))


def answer(data: bytes) -> None:
    message = parse(data)
    read(message)
    assert isinstance(message, Request)
    message.response(180, to_tag="ours", headers=CONTACT).to_bytes()


def stamp_and_answer(data: bytes) -> None:
    message = parse(data)
    read(message)
    assert isinstance(message, Request)
    message.stamp_source("192.0.2.5", 5062)
    message.response(180, to_tag="ours", headers=CONTACT).to_bytes()


def copy(data: bytes) -> None:
    parse(data).to_bytes()


def measure(job: Callable[[bytes], None], messages: list[bytes]) -> float:
    """Microseconds for each message."""
    rounds = []
    for _ in range(5):
        started = time.process_time()
        for data in messages:
            job(data)
        rounds.append(time.process_time() - started)
    return min(rounds) / len(messages) * 1e6


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    invites = [INVITE.format(number).encode() for number in range(count)]
    answers = [OK.format(number).encode() for number in range(count)]
    gc.disable()
    for name, job, messages in (
        ("parse an INVITE", parse_only, invites),
        ("parse an INVITE, read five headers", parse_and_read, invites),
        ("the same, and write a 180", answer, invites),
        ("the same, with received and rport", stamp_and_answer, invites),
        ("parse a 200, read five headers", parse_and_read, answers),
        ("parse a 200, write it again", copy, answers),
    ):
        print(f"{measure(job, messages):7.2f} us  {name}")


if __name__ == "__main__":
    main()
