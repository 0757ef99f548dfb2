"""What `cordboard trunk test` finds out: each step with its result, and what to change where it failed."""

from __future__ import annotations

import asyncio
import datetime
import re
import ssl
import time
from pathlib import Path
from typing import Any

import msgspec

from cordboard.call.reasons import ending_of_status
from cordboard.sdp import SdpError
from cordboard.server.address_rules import PUBLIC, kind_of, parse_address
from cordboard.server.config import Config, Trunk, split_host
from cordboard.server.outbound_policy import OutboundPolicy, PolicyError
from cordboard.server.random_ids import new_token
from cordboard.server.registrations import Place, TrunkWatch
from cordboard.server.sip_setup import make_targets, make_watch
from cordboard.server.sip_transports import SipTransports
from cordboard.server.tls import TlsContexts, TlsFiles, is_about_the_name, is_for_domain
from cordboard.server.tls_reasons import connection_reason
from cordboard.server.trial_call import Outcome, TrialCall, agreed, media_socket, trial_offer
from cordboard.server.trunk_requests import TrunkRequests
from cordboard.server.trunks import credentials_of, rewritten
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import Provisional, Refused, ResponseReceived, SendMessage
from cordboard.sip.message import Response
from cordboard.sip.stack import SipStack

_CONNECT = 5.0
_ANSWER = 8.0
_FEW_DAYS = 14
_REFUSED = (401, 403, 407)
_UNSAID = "the carrier does not say (no SDP in its answer to OPTIONS)"
_CREDENTIALS = re.compile(rb"^(?:Proxy-)?Authorization:", re.MULTILINE)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line.  `ok` None: nothing could be found out."""

    step: str
    ok: bool | None
    text: str
    fix: str = ""


class TrunkCheck:
    """Asks one trunk from a socket of its own, so that a running server is not disturbed."""

    def __init__(self, config: Config, name: str, directory: Path) -> None:
        """`directory`: what relative paths start from.  Raises KeyError for an unknown trunk."""
        self._config = config
        self._name = name
        self._directory = directory
        self._trunk = config.trunks[name]
        self._failure = ""
        self._was_challenged = False
        self._trial_call: TrialCall | None = None
        self._findings: list[Finding] = []

    async def run(self) -> list[Finding]:
        """Every step that makes sense after the one before."""
        self._prefixes()
        section = self._config.sip.model_copy(update={"port": 0, "tcp": False, "tls_port": None})
        transports = SipTransports(
            section, on_message=self._message, on_failure=self._failed, directory=self._directory
        )
        try:
            await self._ask(transports)
        finally:
            await transports.close()
        return self._findings

    def _note(self, step: str, ok: bool | None, text: str, fix: str = "") -> None:
        self._findings.append(Finding(step=step, ok=ok, text=text, fix="" if ok else fix))

    # ------------------------------------------------------------ steps

    def _prefixes(self) -> None:
        prefixes = ", ".join(self._trunk.allowed_prefixes)
        self._note(
            "prefixes",
            bool(prefixes),
            f"may dial {prefixes}" if prefixes else "no number may be dialled",
            f'set trunks.{self._name}.allowed_prefixes, such as ["+1"]',
        )

    async def _ask(self, transports: SipTransports) -> None:
        self._transports = transports
        watch = self._make_watch(transports)
        destination = await self._dns(watch)
        if destination is None or not await self._connect(destination):
            return
        self._keys(destination)
        transports.listen()
        answer = await self._options(watch)
        await self._authentication(watch, answer)
        if answer is not None:
            self._media(answer)
            self._nat(answer, destination)
        if answer is not None and self._trunk.test_number is not None:
            await self._trial(await watch.place(self._trunk))

    def _make_watch(self, transports: SipTransports) -> TrunkWatch:
        config = self._config
        fixed = {name.lower(): split_host(address, 0) for name, address in config.hosts.items()}
        policy = OutboundPolicy(
            allow_private=config.private_allowed,
            allowed_networks=config.outbound.allowed_networks,
            hosts={name: address for name, (address, _) in fixed.items()},
        )
        ports = {name: port for name, (_, port) in fixed.items() if port}
        _, trunks, resolver = make_targets(
            config, policy, trunks=config.trunks, ports=ports, local=transports.local
        )
        first, *others = transports.local
        self._stack = SipStack(local=first, also=others, token=new_token, user_agent="Cordboard")
        self._requests = TrunkRequests(self._stack, self._carry)
        return make_watch(config, trunks, resolver, self._requests, transports.local)

    async def _dns(self, watch: TrunkWatch) -> Endpoint | None:
        address = self._trunk.address
        try:
            place = await watch.place(self._trunk)
        except OSError as error:
            # A sentence of the outbound policy says what to do, where something can be done.
            text, _, remedy = (error.strerror or str(error)).partition("; ")
            fix = remedy if isinstance(error, PolicyError) else ""
            self._note("dns", False, text, fix or f"check trunks.{self._name}.address and the name server")
            return None
        endpoint = place.endpoint
        self._note("dns", True, f"{address} is {endpoint.host_port} ({endpoint.transport})")
        return endpoint

    async def _connect(self, to: Endpoint) -> bool:
        if to.transport == "UDP":
            return True
        try:
            async with asyncio.timeout(_CONNECT):
                certificate = await self._handshake(to)
        except (OSError, ValueError) as error:
            reason, _, fix = connection_reason(error, to.server_name).partition(": ")
            self._note(to.transport.lower(), False, reason, fix or "check the address and the firewall")
            return False
        self._note(to.transport.lower(), *_judged(certificate, to))
        return True

    def _keys(self, to: Endpoint) -> None:
        """SDES: the keys of the media stand in the SIP messages."""
        if self._trunk.encryption == "mandatory" and to.transport != "TLS":
            text = f"the keys of SRTP go over {to.transport}, where they can be read"
            self._note(
                "keys", None, text, f'set trunks.{self._name}.transport = "tls", if the carrier has it'
            )

    async def _handshake(self, to: Endpoint) -> dict[str, Any] | None:
        if to.transport != "TLS":
            return await self._certificate(to, None)
        try:
            return await self._certificate(to, self._tls().calling())
        except ssl.SSLCertVerificationError as error:
            if not is_about_the_name(error):
                raise
            found = await self._certificate(to, self._tls().calling_nameless())
            if not is_for_domain(found, to.server_name):
                raise
            return found

    async def _certificate(self, to: Endpoint, context: ssl.SSLContext | None) -> dict[str, Any] | None:
        name = (to.server_name or to.address) if context else None
        _, writer = await asyncio.open_connection(to.address, to.port, ssl=context, server_hostname=name)
        found = writer.get_extra_info("peercert")
        writer.transport.abort()
        return found if isinstance(found, dict) else None

    def _tls(self) -> TlsContexts:
        sip, directory = self._config.sip, self._directory
        files = TlsFiles(
            certificate=directory / sip.certificate if sip.certificate else None,
            key=directory / sip.certificate_key if sip.certificate_key else None,
            server_ca=directory / sip.server_ca if sip.server_ca else None,
            verify_servers=sip.verify_servers,
        )
        return TlsContexts(files)

    async def _options(self, watch: TrunkWatch) -> Response | None:
        began = time.monotonic()
        outcome = await self._within(watch.ask(self._trunk))
        took = f"after {(time.monotonic() - began) * 1000:.0f} ms"
        if isinstance(outcome, ResponseReceived) and outcome.response is not None:
            answer = outcome.response
            lives = answer.status != 503
            fix = "ask the carrier whether its service is up"
            self._note("options", lives, f"{answer.status} {answer.reason} {took}", fix)
            return answer
        why = self._failure or (str(outcome) if isinstance(outcome, OSError) else "no answer")
        self._note(
            "options",
            False,
            why,
            "check address, port, transport and firewall, and whether the carrier lets this address in",
        )
        return None

    async def _authentication(self, watch: TrunkWatch, answer: Response | None) -> None:
        trunk = self._trunk
        if answer is None:
            return
        if trunk.registers:
            self._note("authentication", *self._judged_bindings(await self._within(self._bindings(watch))))
        elif answer.status in _REFUSED:
            self._note("authentication", False, f"OPTIONS: {answer.status} {answer.reason}", self._password)
        elif trunk.username is None:
            self._note("authentication", None, "no user name is configured")
        elif self._was_challenged:
            self._note("authentication", True, "OPTIONS was challenged, and the password was right")
        else:
            self._note("authentication", None, "OPTIONS was not challenged: the first call will tell")

    @property
    def _password(self) -> str:
        """The fix for credentials that are refused."""
        return f"check trunks.{self._name}.username, password and realm"

    def _judged_bindings(self, outcome: ResponseReceived | OSError) -> tuple[bool, str, str]:
        if isinstance(outcome, OSError) or outcome.response is None:
            fix = f"ask the carrier for its registrar, or set trunks.{self._name}.register = false"
            return False, f"REGISTER: {self._failure or 'no answer'}", fix
        text = f"REGISTER: {outcome.status} {outcome.response.reason}"
        if outcome.status in _REFUSED:
            return False, text, self._password
        fix = (
            f"check trunks.{self._name}.username and from_domain, and whether the carrier takes registrations"
        )
        return 200 <= outcome.status < 300, text, fix

    async def _bindings(self, watch: TrunkWatch) -> ResponseReceived:
        """A REGISTER without Contact changes nothing (RFC 3261 section 10.2.3)."""
        place = await watch.place(self._trunk)
        account = f"<sip:{self._trunk.username or ''}@{self._trunk.from_domain or place.domain}>"
        return await self._requests.send(
            "REGISTER",
            uri=place.uri,
            to=account,
            from_=account,
            destination=place.endpoint,
            credentials=credentials_of(self._trunk),
        )

    def _media(self, answer: Response) -> None:
        sdp = answer.body.decode("utf-8", "replace")
        says = "m=audio" in sdp
        if says:
            theirs = _codecs(sdp)
            ours = _ours(self._trunk, self._config)
            common = [codec for codec in ours if codec in theirs]
            told = f"offered {', '.join(ours)}; known there {', '.join(sorted(theirs))}"
            self._note("codecs", bool(common), told, f"name one of those in trunks.{self._name}.codecs")
        else:
            self._note("codecs", None, _UNSAID)
        if self._trunk.encryption != "forbidden":
            speaks = "RTP/SAVP" in sdp or "a=crypto" in sdp
            self._note("encryption", *self._judged_keys(speaks if says else None))

    def _judged_keys(self, speaks: bool | None) -> tuple[bool | None, str, str]:
        if speaks is None:
            return None, _UNSAID, ""
        if speaks:
            return True, "SRTP is spoken there", ""
        if self._trunk.encryption == "optional":
            return None, "no SRTP is spoken there: calls will be plain", ""
        fix = f'set trunks.{self._name}.encryption to "optional" or "forbidden"'
        return False, "no SRTP is spoken there", fix

    def _nat(self, answer: Response, destination: Endpoint) -> None:
        via = answer.vias[0]
        seen = via.params.get("received") or ""
        told = self._config.sip.told
        if not seen or parse_address(seen) == parse_address(told):
            self._note("nat", True, f"we are seen as {seen or told}")
            return
        address = parse_address(seen)
        public = address is not None and kind_of(address) == PUBLIC
        self._note(
            "nat",
            not public,
            f"we are seen as {seen}, and say that we are {told}",
            f'set sip.public_address = "{seen}" and media.public_address likewise',
        )

    async def _trial(self, place: Place) -> None:
        trunk, config = self._trunk, self._config
        self._trial_call = TrialCall(self._stack, self._carry)
        user = trunk.from_user or next(iter(config.server.numbers or ()), None) or trunk.username or "test"
        from_ = f"<sip:{rewritten(user, trunk.rewrite_from)}@{trunk.from_domain or config.sip.told}>"
        with media_socket(config.media.address) as media:
            offer = trial_offer(config, trunk, media.getsockname()[1])
            outcome = await self._trial_call.place(place, trunk, from_, offer)
        self._note("call", *self._judged_call(outcome, offer))

    def _judged_call(self, outcome: Outcome, offer: bytes) -> tuple[bool, str, str]:
        name, number = f"trunks.{self._name}", self._trunk.test_number or ""
        if outcome is None:
            return False, f"{number}: no answer and no ringing", "ask the carrier whether it got the INVITE"
        if isinstance(outcome, Refused) and outcome.cause != "response":
            text = f"{number}: {outcome.reason or 'the INVITE could not be sent'}"
            return False, text, "check the network between"
        if isinstance(outcome, Refused):
            end = ending_of_status(outcome.status, outcome.reason, who=number)
            fix = end.sentence.rpartition("): ")[2].rstrip(".")
            return False, f"{number}: {outcome.status} {outcome.reason}", fix
        if isinstance(outcome, Provisional) and not outcome.body:
            return True, f"{number} rings ({outcome.status}): what it agrees to is not known yet", ""
        try:
            settled = agreed(offer, outcome.body, self._trunk.encryption)
        except SdpError as error:
            return False, f"{number}: {error}", f"check {name}.codecs and {name}.encryption"
        return True, f"{number} took the call: {settled}", ""

    # ------------------------------------------------------------ the wire

    async def _within(self, asking: Any) -> ResponseReceived | OSError:
        try:
            async with asyncio.timeout(_ANSWER):
                outcome: ResponseReceived | OSError = await asking
                return outcome
        except OSError as error:
            return error if str(error) else OSError(f"no answer within {_ANSWER:g} s")

    def _message(self, data: bytes, source: Endpoint) -> None:
        self._carry(self._stack.receive(data, source, asyncio.get_running_loop().time()))
        self._arm()

    def _failed(self, destination: Endpoint, sentence: str) -> None:
        self._failure = sentence
        self._carry(self._stack.transport_failed(destination, asyncio.get_running_loop().time()))

    def _carry(self, outputs: list[Any]) -> None:
        for output in outputs:
            if isinstance(output, SendMessage):
                # Credentials leave only in answer to a challenge.
                self._was_challenged = self._was_challenged or bool(_CREDENTIALS.search(output.data))
                self._transports.send(output.data, output.destination)
            elif isinstance(output, ResponseReceived):
                self._requests.arrived(output)
            elif self._trial_call is not None:
                self._trial_call.handle(output)
        self._arm()

    def _arm(self) -> None:
        due = self._stack.next_timeout()
        if due is not None:
            asyncio.get_running_loop().call_at(due, self._timeout)

    def _timeout(self) -> None:
        outputs = self._stack.handle_timeout(asyncio.get_running_loop().time())
        if outputs:
            self._carry(list(outputs))


def _judged(certificate: dict[str, Any] | None, to: Endpoint) -> tuple[bool, str, str]:
    """(ok, text, fix) for a connection that stands."""
    if to.transport != "TLS":
        return True, "connected", ""
    ends = (certificate or {}).get("notAfter")
    if not ends:
        return True, "connected; the certificate was not checked", ""
    days = (ssl.cert_time_to_seconds(ends) - datetime.datetime.now().timestamp()) / 86_400
    text = f"connected; the certificate is for {to.server_name or to.address} and lasts {days:.0f} days"
    return days > 0, text + (", not for long" if days < _FEW_DAYS else ""), "it must be renewed there"


_RTPMAP = re.compile(r"^a=rtpmap:\d+ ([A-Za-z0-9_.\-]+)/", re.MULTILINE)
_AUDIO = re.compile(r"^m=audio \d+(?:/\d+)? \S+ (.*?)\r?$", re.MULTILINE)
_STATIC = {"0": "PCMU", "8": "PCMA", "9": "G722", "18": "G729"}


def _codecs(sdp: str) -> set[str]:
    types = " ".join(_AUDIO.findall(sdp)).split()
    named = {name.upper() for name in _RTPMAP.findall(sdp)} - {"TELEPHONE-EVENT"}
    return named | {_STATIC[number] for number in types if number in _STATIC}


def _ours(trunk: Trunk, config: Config) -> list[str]:
    return [
        part.strip().partition("@")[0].upper() for part in (trunk.codecs or config.media.codecs).split(",")
    ]
