"""Typed values of SIP header fields, parsed when asked for."""

from cordboard.sip.headers.cseq import CSeq
from cordboard.sip.headers.fields import Headers
from cordboard.sip.headers.grammar import HeaderError
from cordboard.sip.headers.lists import split_list
from cordboard.sip.headers.name_addr import NameAddr, parse_name_addr, parse_name_addrs
from cordboard.sip.headers.parameters import parse_parameters, write_parameters
from cordboard.sip.headers.reason import Reason, parse_reasons
from cordboard.sip.headers.retry_after import RetryAfter
from cordboard.sip.headers.via import Via

__all__ = [
    "CSeq",
    "HeaderError",
    "Headers",
    "NameAddr",
    "Reason",
    "RetryAfter",
    "Via",
    "parse_name_addr",
    "parse_name_addrs",
    "parse_parameters",
    "parse_reasons",
    "split_list",
    "write_parameters",
]
