"""The table of causes: every way in which a leg or a connect can end.

A cause is finer than an end reason: `user_busy` and `busy_everywhere` are both `busy`.  Its row says which
of the six end reasons it is, what a caller who was never answered gets as the final response, the word on
RELAY where it differs from the usual one, and an English sentence that says who failed and what to change.

The far end's own status code is passed on to an unanswered caller where it speaks of the callee (busy,
not found, declined).  It is replaced where it speaks of our own request (a challenge, an unsupported
extension, a loop): the caller's phone would act on it as if it were about its own.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class EndReason(Enum):
    """The closed list of end reasons, in SWML's spelling."""

    HANGUP = "hangup"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCEL = "cancel"
    DECLINED = "declined"
    ERROR = "error"


class Cause(msgspec.Struct, frozen=True):
    """One row of the table."""

    key: str
    reason: EndReason
    caller_code: int
    """Final response to a caller who was never answered."""
    sentence: str
    """Template with `{who}`, `{code}`, `{text}` and `{detail}`."""
    statuses: tuple[int, ...] = ()
    """The SIP status codes that mean this."""
    passed_on: bool = False
    """The far end's own code, where it sent one, goes to the caller in place of `caller_code`."""
    relay_word: str = ""
    """The end reason on RELAY, where it is not the one of `RELAY_WORDS`."""


HANGUP, BUSY, NO_ANSWER = EndReason.HANGUP, EndReason.BUSY, EndReason.NO_ANSWER
CANCEL, DECLINED, ERROR = EndReason.CANCEL, EndReason.DECLINED, EndReason.ERROR

_REFUSALS = (
    Cause(
        "user_busy",
        BUSY,
        486,
        "{who} is busy ({code} {text}): add another destination, or call again later.",
        (486,),
        passed_on=True,
    ),
    Cause(
        "busy_everywhere",
        BUSY,
        486,
        "{who} is busy on every phone ({code} {text}): add another destination, or call again later.",
        (600,),
        passed_on=True,
    ),
    Cause(
        "call_rejected",
        DECLINED,
        603,
        "{who} declined the call ({code} {text}): add another destination if someone else may take it.",
        (603, 608),
        passed_on=True,
    ),
    Cause(
        "unwanted",
        DECLINED,
        607,
        "{who} refused the call as unwanted ({code} {text}): check which `from` number is presented.",
        (607,),
        passed_on=True,
    ),
    Cause(
        "credentials_refused",
        DECLINED,
        603,
        "{who} asked for credentials that were missing or wrong ({code} {text}): "
        "set the user name and password of this destination or of its trunk.",
        (401, 407),
    ),
    Cause(
        "forbidden",
        DECLINED,
        603,
        "{who} refused to take the call ({code} {text}): "
        "ask its operator whether this server and the `from` number are allowed to call.",
        (402, 403),
        passed_on=True,
    ),
    Cause(
        "unavailable",
        NO_ANSWER,
        480,
        "{who} is not available now ({code} {text}): check that the phone is on and registered.",
        (480,),
        passed_on=True,
    ),
    Cause(
        "far_end_timeout",
        NO_ANSWER,
        504,
        "{who} gave up waiting for an answer ({code} {text}): check that the phone is reachable.",
        (408,),
        passed_on=True,
    ),
    Cause(
        "gateway_timeout",
        ERROR,
        504,
        "A server on the way to {who} got no answer in time ({code} {text}): check the route behind it.",
        (504,),
        passed_on=True,
    ),
    Cause(
        "terminated_by_far_end",
        CANCEL,
        487,
        "{who} ended the call attempt by itself ({code} {text}): look at the log of the far end.",
        (487,),
        passed_on=True,
    ),
    Cause(
        "not_found",
        ERROR,
        404,
        "{who} does not exist there ({code} {text}): check the number or the user part of `to`.",
        (404,),
        passed_on=True,
        relay_word="notFound",
    ),
    Cause(
        "no_route_at_far_end",
        ERROR,
        404,
        "{who} cannot be reached from the server that was asked ({code} {text}): check `to`.",
        (485, 604),
        passed_on=True,
    ),
    Cause(
        "number_changed",
        ERROR,
        410,
        "{who} is no longer there ({code} {text}): use the new number or address.",
        (410,),
        passed_on=True,
    ),
    Cause(
        "number_incomplete",
        ERROR,
        484,
        "{who} is not a complete number ({code} {text}): give the whole number, as +15551234567.",
        (484,),
        passed_on=True,
    ),
    Cause(
        "incompatible",
        ERROR,
        488,
        "{who} accepts none of the offered codecs or media ({code} {text}): allow PCMU or PCMA there.",
        (488, 606),
        passed_on=True,
    ),
    Cause(
        "not_implemented",
        ERROR,
        501,
        "{who} cannot do what the call needs ({code} {text}): check what kind of device it is.",
        (406, 415, 501),
    ),
    Cause(
        "request_refused",
        ERROR,
        480,
        "{who} did not take the INVITE ({code} {text}): check the headers that are sent to it.",
        (413, 414, 416, 420, 421, 423, 505, 513),
    ),
    Cause(
        "calls_not_allowed",
        ERROR,
        480,
        "{who} takes no calls ({code} {text}): check that `to` names a phone and not another service.",
        (405,),
    ),
    Cause(
        "bad_request",
        ERROR,
        503,
        "{who} found the INVITE malformed ({code} {text}): look at its log, and at `to` and `headers`.",
        (400, 481),
    ),
    Cause(
        "server_failure",
        ERROR,
        503,
        "{who} failed or is overloaded ({code} {text}): try again later, or look at its log.",
        (500, 503),
        passed_on=True,
    ),
    Cause(
        "bad_gateway",
        ERROR,
        503,
        "A gateway on the way to {who} failed ({code} {text}): check the gateway behind it.",
        (502,),
        passed_on=True,
    ),
    Cause(
        "routing_loop",
        ERROR,
        483,
        "The call to {who} went in a circle ({code} {text}): check whether that address routes back here.",
        (482, 483),
    ),
    Cause(
        "identity_refused",
        ERROR,
        480,
        "{who} does not accept the caller's identity ({code} {text}): use a `from` number that is signed.",
        (428, 429, 437, 438),
        passed_on=True,
    ),
    Cause(
        "redirected",
        ERROR,
        480,
        "{who} redirected the call and that led nowhere ({code} {text}): dial the new address itself.",
    ),
    Cause(
        "refused",
        ERROR,
        480,
        "{who} refused the call ({code} {text}): look at the log of the far end.",
    ),
)

_ORDINARY = (
    Cause(
        "ring_timeout",
        NO_ANSWER,
        480,
        "{who} did not answer in time{detail}: raise `timeout`, or add another destination.",
    ),
    Cause(
        "confirm_timeout",
        NO_ANSWER,
        480,
        "{who} answered, but its confirm script did not end in time{detail}: raise `confirm_timeout`.",
    ),
    Cause(
        "confirm_declined",
        DECLINED,
        603,
        "{who} answered, and its confirm script hung up: the call was not accepted there.",
    ),
    Cause(
        "confirm_hung_up",
        DECLINED,
        603,
        "{who} answered, and hung up before its confirm script had ended.",
    ),
    Cause("lost_race", CANCEL, 487, "{who} was cancelled because another destination answered first."),
    Cause("caller_gone", CANCEL, 487, "{who} was cancelled because the caller hung up first."),
    Cause("caller_cancelled", CANCEL, 487, "{who} hung up before the call was answered."),
    Cause("hangup_far_end", HANGUP, 480, "{who} hung up."),
    Cause("hangup_peer", HANGUP, 480, "{who} was hung up because the other side of the bridge left."),
    Cause("transferred", HANGUP, 480, "{who} was hung up because it transferred the call to somebody else."),
    Cause("hangup_script", HANGUP, 480, "The script hung up on {who}."),
    Cause("script_busy", BUSY, 486, "The script turned {who} away as busy."),
    Cause("script_declined", DECLINED, 603, "The script declined the call of {who}."),
    Cause("client_hung_up", HANGUP, 480, "The client that controls the call hung up on {who}."),
    Cause("client_cancelled", CANCEL, 487, "The client that controls the call cancelled the one of {who}."),
    Cause("client_busy", BUSY, 486, "The client that controls the call turned {who} away as busy."),
    Cause(
        "client_no_answer",
        NO_ANSWER,
        480,
        "The client that controls the call gave the one of {who} up as not answered.",
    ),
    Cause("client_declined", DECLINED, 603, "The client that controls the call declined the one of {who}."),
    Cause(
        "client_gone",
        HANGUP,
        480,
        "The client that controlled the call of {who} went away and did not come back: "
        "look at its log, and let it connect again with its protocol string.",
    ),
    Cause(
        "no_client",
        NO_ANSWER,
        480,
        "No client took the call of {who}{detail}: start one that subscribes to the context of its route, "
        "or give the route a `document`.",
    ),
    Cause("disconnected", HANGUP, 480, "{who} was hung up because its client took the other side away."),
    Cause("script_ended", HANGUP, 480, "The script came to its end and {who} was hung up."),
    Cause(
        "max_duration",
        HANGUP,
        480,
        "The call of {who} reached its longest allowed duration: raise `max_duration` if that is too short.",
        relay_word="maxDuration",
    ),
    Cause("server_stopping", HANGUP, 503, "The call of {who} was ended because this server was shut down."),
)

_TRANSFERS = (
    # A REFER of ours ends no leg: its caller code is never used.
    Cause(
        "refer_refused",
        DECLINED,
        603,
        "{who} refused to be transferred ({code} {text}): allow REFER there, "
        "or dial the other party from here with `connect`.",
    ),
    Cause(
        "refer_unanswered",
        NO_ANSWER,
        480,
        "{who} did not answer the REFER: check that it is still there, "
        "or dial the other party from here with `connect`.",
    ),
    Cause(
        "refer_unsent",
        ERROR,
        503,
        "The REFER could not be sent to {who}: check the network between, and that it is still there.",
    ),
    Cause("refer_impossible", ERROR, 480, "{who} was not asked to call somebody else: {detail}"),
    Cause(
        "refer_untold",
        ERROR,
        480,
        "{who} did not tell how its transfer went{detail}: "
        "it may have worked, so ask there before trying again.",
    ),
)

_FAILURES = (
    Cause(
        "invite_timeout",
        ERROR,
        503,
        "{who} sent no response at all for 32 seconds{detail}: check the address, the port and the firewall.",
    ),
    Cause(
        "transport_failed",
        ERROR,
        503,
        "{who} could not be reached{detail}: check that something listens on that address and port.",
    ),
    Cause("connection_failed", ERROR, 503, "{who} could not be reached: {detail}"),
    Cause(
        "dns_failed",
        ERROR,
        502,
        "The host name of {who} could not be resolved{detail}: check its spelling and the name server.",
    ),
    Cause(
        "policy_refused",
        ERROR,
        403,
        "{who} was not dialled because the outbound policy forbids its address{detail}: "
        "allow the network in the configuration if it is meant.",
    ),
    Cause(
        "prefix_not_allowed",
        ERROR,
        403,
        "{who} was not dialled because no allowed prefix covers it{detail}: "
        "add the prefix to the allowed outbound numbers.",
    ),
    Cause(
        "price_too_high",
        ERROR,
        403,
        "{who} was not dialled because of its price{detail}: raise `maxPricePerMinute`, or add a rate.",
    ),
    Cause(
        "trunk_unavailable",
        ERROR,
        503,
        "{who} was not dialled because no trunk for it takes a call now{detail}: "
        "look at the trunk's limits and its log, or add a trunk.",
    ),
    Cause(
        "from_not_allowed",
        ERROR,
        403,
        "{who} was not dialled because the `from` number is not one of yours{detail}: use an owned number.",
    ),
    Cause(
        "transport_unsupported",
        ERROR,
        503,
        "{who} was not dialled because this server does not speak its transport{detail}: "
        "write `;transport=udp`, `tcp` or `tls` in the SIP URI.",
    ),
    Cause(
        "no_trunk",
        ERROR,
        503,
        "{who} was not dialled because no trunk serves that number{detail}: configure a SIP trunk for it.",
    ),
    Cause(
        "no_port",
        ERROR,
        503,
        "The call of {who} found no free media port{detail}: widen the range of RTP ports.",
    ),
    Cause(
        "codec_mismatch",
        ERROR,
        488,
        "{who} and this server have no codec in common{detail}: allow PCMU or PCMA on the far end.",
    ),
    Cause(
        "no_sdp",
        ERROR,
        488,
        "{who} answered without saying where its audio goes (no SDP in the 200): check that device.",
    ),
    Cause(
        "bad_sdp",
        ERROR,
        488,
        "{who} sent a session description that makes no sense{detail}: check that device.",
    ),
    Cause(
        "encryption_refused",
        ERROR,
        488,
        "{who} did not take the encryption that is demanded of it{detail}: enable SRTP (SDES) there, "
        "or set `encryption` to `optional`.",
    ),
    Cause(
        "encryption_forbidden",
        ERROR,
        488,
        "{who} wants SRTP, which is forbidden for this call{detail}: allow plain RTP there, "
        "or set `encryption` to `optional`.",
    ),
    Cause(
        "encryption_not_offered",
        ERROR,
        488,
        "{who} called without SRTP, which this server demands{detail}: enable SRTP (SDES) there, "
        "or set `media.encryption` to `optional`.",
    ),
    Cause(
        "no_ack",
        ERROR,
        503,
        "{who} never confirmed the answer (no ACK in 32 seconds): check that the address in our Contact, "
        "and any proxy on the way, can be reached from there.",
    ),
    Cause(
        "dialog_timeout",
        ERROR,
        503,
        "{who} stopped responding during the call{detail}: check the network between.",
    ),
    Cause(
        "session_expired",
        ERROR,
        503,
        "{who} stopped refreshing the session: check its session timer and the network between.",
    ),
    Cause(
        "media_timeout",
        ERROR,
        503,
        "{who} sent no media any more{detail}: check the network between, "
        "or raise `media.rtp_timeout` if that far end may be silent.",
    ),
    Cause(
        "media_worker_died",
        ERROR,
        503,
        "The media process that carried the audio of {who} died{detail}: the call could not go on; "
        "a new process has taken its place.",
    ),
    Cause(
        "server_restarted",
        ERROR,
        503,
        "This server was restarted while the call of {who} was up, and the call could not be kept.",
    ),
    Cause("client_failed", ERROR, 503, "The client that controls the call of {who} ended it with an error."),
    Cause("script_failed", ERROR, 503, "The document of the call of {who} cannot be run: {detail}"),
    Cause("document_failed", ERROR, 503, "The document of the call of {who} could not be fetched: {detail}"),
    Cause(
        "confirm_failed",
        ERROR,
        503,
        "{who} answered, but its confirm script could not be run: {detail}",
    ),
    Cause(
        "transfer_failed",
        ERROR,
        480,
        "{who} was left alone by a transfer that led nowhere: {detail}",
    ),
    Cause(
        "bad_plan",
        ERROR,
        480,
        "Nothing could be dialled for {who}: {detail}",
    ),
    Cause("bad_destination", ERROR, 480, "{who} was not dialled: {detail}"),
    Cause(
        "no_document",
        ERROR,
        404,
        "No document is configured for {who}: add the number or name to the routes of the configuration.",
        relay_word="notFound",
    ),
    Cause(
        "source_refused",
        ERROR,
        403,
        "{who} is not allowed to call in{detail}: add its network to the allowed inbound sources.",
    ),
    Cause(
        "overloaded",
        ERROR,
        503,
        "The call of {who} was refused because this server is full{detail}: raise the limit or add a server.",
    ),
    Cause(
        "store_failing",
        ERROR,
        503,
        "The call of {who} was refused because this server cannot write its store: look at its disk and log.",
    ),
    Cause("internal_error", ERROR, 500, "This server failed while handling {who}{detail}: see its log."),
)

CAUSES: dict[str, Cause] = {cause.key: cause for cause in _REFUSALS + _ORDINARY + _TRANSFERS + _FAILURES}

BY_STATUS: dict[int, Cause] = {status: cause for cause in _REFUSALS for status in cause.statuses}
