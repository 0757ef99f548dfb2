"""Carries out what calls and legs want: effects to legs, media, store and other calls; orders to sockets.

Nothing is decided here.  Everything is synchronous but the few things that need a network: a name, a
document, audio; those run as tasks that belong to the exchange and end with it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any

from cordboard.call import effects as fx
from cordboard.call import facts
from cordboard.call.call import Call
from cordboard.call.reasons import Ending, caller_code, ending
from cordboard.legs import outputs as out
from cordboard.legs.sip_legs import SipLegs
from cordboard.media.protocol import Event as MediaEvent
from cordboard.server.asking import Asking
from cordboard.server.call_media import CallMedia
from cordboard.server.call_tasks import CallTasks
from cordboard.server.compiled_documents import CompiledDocuments
from cordboard.server.control import Control
from cordboard.server.endpoint_events import EndpointEvents
from cordboard.server.fetcher import DocumentFetcher
from cordboard.server.leg_effects import leg_performers
from cordboard.server.media_engine import MediaEngine
from cordboard.server.new_calls import NewCalls
from cordboard.server.recorder import Recorder
from cordboard.server.refusals import Refusals
from cordboard.server.relay_inbound import RelayInbound
from cordboard.server.routes import Routed
from cordboard.server.sip_log import SipLog
from cordboard.server.switchboard import Actor, Switchboard
from cordboard.server.targets import Targets, Way
from cordboard.server.trunk_requests import TrunkRequests
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import ResponseReceived, SendMessage

_log = logging.getLogger(__name__)

_LOOK_AGAIN = 0.02

Route = Callable[[str], Routed | None]
"""What answers a dialled number or name."""

MakeCallMedia = Callable[
    [
        MediaEngine,
        Callable[[str, facts.Fact], None],
        Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
    ],
    CallMedia,
]
"""From the workers, the queue of facts, and what runs tasks for calls."""

MessageTap = Callable[[str, bytes, Endpoint], None]
"""(`received` or `sent`, message, far end): for the ladder."""


class Exchange:
    """Legs, media, calls, records: each knows only itself; this joins them."""

    def __init__(
        self,
        *,
        legs: SipLegs,
        targets: Targets,
        recorder: Recorder,
        documents: DocumentFetcher,
        call_media: MakeCallMedia,
        route: Route,
        ready: Callable[[], bool],
        envs: dict[str, str],
        new_id: Callable[[], str],
    ) -> None:
        self.legs = legs
        self.recorder = recorder
        self._performers: dict[type, Callable[[Any, Any], None]] = {}
        self.switchboard = Switchboard(self._performers)
        self.sip_log = SipLog(recorder.save_ladder)
        self.taps: list[MessageTap] = []
        self._targets = targets
        self.requests = TrunkRequests(legs.stack, self._carry)
        self._documents = documents
        self._route = route
        self._ready = ready
        self._tasks = CallTasks(self._task_failed)
        self.spawn = self._tasks.spawn
        """Run something that a call waits for."""
        compiled = CompiledDocuments()
        self._asking = Asking(documents, envs, self.switchboard.post, self.spawn, compiled)
        self.new_calls = NewCalls(
            envs=envs,
            new_id=new_id,
            domain=legs.domain,
            node_id=legs.identity.node_id,
            space_id=legs.identity.space_id,
            compiled=compiled,
        )
        self.control = Control(self.switchboard, self.new_calls, new_id)
        self.inbound: RelayInbound
        """Set before the first call comes, where routes name contexts."""
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf
        """When the timer of the legs goes off."""
        self._queue = legs.stack.queue
        self._carrying = False
        self._send: Callable[[bytes, Endpoint], None] = _nowhere
        self.media: MediaEngine
        self._make_call_media = call_media
        self._call_media: CallMedia
        self._refusals = Refusals()
        self.draining = False
        self._performers |= leg_performers(legs, self._carry)
        self._performers |= {
            fx.Report: recorder.report,
            fx.TellCall: self._tell_call,
            fx.AskShell: self._ask,
            fx.Dial: self._dial,
            fx.CommandAnswered: self.control.answered,
            fx.Join: self._join,
            fx.Unjoin: self._unjoin,
            fx.CallOver: self._call_over,
        }
        endpoints = EndpointEvents(legs, recorder, self.switchboard.post, self._carry)
        self._media_handlers = endpoints.handlers

    def is_ready(self) -> bool:
        """Calls can be recorded."""
        return self._ready()

    def attach(self, send: Callable[[bytes, Endpoint], None], media: MediaEngine) -> None:
        """The socket and the workers, once they are open."""
        self._send = send
        self.media = media
        self._call_media = self._make_call_media(media, self.switchboard.post, self.spawn)
        self._performers.update(self._call_media.performers)
        self._media_handlers.update(self._call_media.handlers)

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.stop()
        await self._documents.close()
        await self._call_media.close()

    def counts(self) -> dict[str, int]:
        """What is held for calls: all 0 at rest."""
        return {
            "calls": len(self.switchboard),
            "legs": len(self.legs),
            "commands": len(self.control),
            "tasks": len(self._tasks),
            "records": len(self.recorder),
            **self._call_media.counts(),
            "endpoints": self.media.endpoints(),
            **self.legs.stack.counts(),
        }

    async def quiet(self) -> None:
        """Wait until every far end has been seen off, every endpoint is closed and every task is done."""
        await self.switchboard.empty()
        stack = self.legs.stack
        while stack.unanswered() or stack.counts()["sessions"] or self._is_at_work():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN)

    def _is_at_work(self) -> bool:
        return bool(len(self._tasks) or self.media.endpoints() or len(self._call_media.recordings))

    def hang_up_saved(self, saved: bytes) -> None:
        """BYE in a dialog that a server left behind when it died."""
        self._carry(self.legs.hang_up_saved(saved, self._loop.time()))

    # ------------------------------------------------------------ from the sockets

    def received(self, data: bytes, source: Endpoint) -> None:
        try:
            self.sip_log.note(False, data, source)
            for tap in self.taps:
                tap("received", data, source)
            self._carry(self.legs.receive(data, source, self._loop.time()))
        except Exception:
            self._defect("a message from %s could not be handled", source.host_port)

    def unreachable(self, destination: Endpoint, sentence: str = "") -> None:
        """`sentence`: why, where the transport knows."""
        if sentence:
            _log.info("not reached: %s", sentence)
        try:
            # Of UDP it is known only that nothing listens; connections know what to change.
            why = sentence if destination.transport != "UDP" else ""
            self._carry(self.legs.transport_failed(destination, self._loop.time(), why))
        except Exception:
            self._defect("the failure of %s could not be handled", destination.host_port)

    def _legs_timeout(self) -> None:
        self._timer, self._timer_due = None, math.inf
        try:
            self._carry(self.legs.handle_timeout(self._loop.time()))
        except Exception:
            self._defect("a SIP timer could not be handled")
            self._arm()

    def _defect(self, what: str, *details: object) -> None:
        """The last line of defence for what belongs to no call: what is at hand is lost, nothing else."""
        self.switchboard.defects += 1
        _log.exception("internal error: " + what, *details)

    def _arm(self) -> None:
        """An earlier wake-up is harmless and rare; a timer for each message would not be."""
        due = self.legs.next_timeout()
        if due is None or due >= self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_at(due, self._legs_timeout)

    # ------------------------------------------------------------ from the media

    def media_event(self, event: MediaEvent) -> None:
        handler = self._media_handlers.get(type(event))
        if handler is not None:
            handler(event)

    def worker_died(self, endpoint_ids: list[str], sentence: str) -> None:
        """Its calls end with the true reason; everybody else goes on."""
        self._call_media.lost(endpoint_ids, sentence)
        for call_id in endpoint_ids:
            self.recorder.media_closed(call_id, None)
            end = ending("media_worker_died", who=self._name_of(call_id), detail=sentence)
            self.switchboard.post(call_id, facts.MediaFailed(ending=end))

    def _name_of(self, call_id: str) -> str:
        call = self.switchboard.call(call_id)
        if call is None:
            return "the far end"
        return call.info.from_ if call.info.direction == "inbound" else call.info.to

    # ------------------------------------------------------------ what legs want

    def _carry(self, outputs: list[out.Output]) -> None:
        outermost, self._carrying = not self._carrying, True
        try:
            for output in outputs:
                _CARRY[type(output)](self, output)
        finally:
            if outermost:
                self._carrying = False
                if self._queue.due < self._timer_due or self.legs.timed:
                    self._arm()

    def _transmit(self, order: SendMessage) -> None:
        self._send(order.data, order.destination)
        self.sip_log.note(True, order.data, order.destination)
        for tap in self.taps:
            tap("sent", order.data, order.destination)

    def _happened(self, order: out.Happened) -> None:
        if type(order.fact) is facts.DigitReceived:
            self._call_media.pressed(order.call_id, order.fact.digit)
        self.switchboard.post(order.call_id, order.fact)

    def _order_media(self, order: out.MediaOrder) -> None:
        self.media.set_remote(order.command)

    def _command_media(self, order: out.MediaCommand) -> None:
        self.media.send(order.command)

    def _open_media(self, order: out.OpenMedia) -> None:
        self.media.open(order.call_id, near=order.near, video=order.video)

    def _close_media(self, order: out.CloseMedia) -> None:
        self.media.close(order.call_id)

    def _save_dialog(self, order: out.DialogSaved) -> None:
        self.recorder.dialog_saved(order.call_id, order.saved)

    def _resolve(self, order: out.ResolveTarget) -> None:
        call = self.switchboard.call(order.call_id)
        found = self._targets.find_at_once(order, call.info.from_ if call is not None else "")
        if isinstance(found, Way):
            self.spawn(self._look_up(order.call_id, found), order.call_id)
        else:
            self._resolved(order.call_id, found)

    async def _look_up(self, call_id: str, way: Way) -> None:
        self._resolved(call_id, await self._targets.find(way))

    def _resolved(self, call_id: str, found: out.Route | Ending) -> None:
        now = self._loop.time()
        if isinstance(found, Ending):
            self._carry(self.legs.unresolved(call_id, found, now))
        else:
            if found.terms is not None:
                self.sip_log.goes_by(call_id, found.terms.trunk)
            self._carry(self.legs.resolved(call_id, found, now))

    def _offered(self, offer: out.CallOffered) -> None:
        try:
            routed = self._route(offer.dialled)
            problem = self._problem(routed)
            if routed is None or problem:
                self._turn_away(offer, problem)
            else:
                self._take_in(offer, routed)
        except Exception:
            self._defect("the call from %s could not be taken in", offer.source.host_port)
            self._turn_away(offer, "internal_error")

    def _problem(self, routed: Routed | None) -> str:
        """Why no call can be taken in now; empty if one can."""
        if routed is None:
            return "no_document"
        if self.draining:
            return "server_stopping"
        if not self._ready():
            return "store_failing"
        return "" if routed.has_document or self.inbound.can_take(routed) else "no_client"

    def _take_in(self, offer: out.CallOffered, routed: Routed) -> None:
        is_offered = routed.context is not None and self.inbound.can_take(routed)
        if routed.context is not None or routed.project is not None:
            offer.info.project_id = self.inbound.project_of(routed)
        call = self.new_calls.taken_in(offer, None if is_offered else routed)
        trunk = self._targets.came_in(offer.call_id, offer.source.address)
        self.sip_log.begin(offer.call_id, offer.sip_call_id, self.recorder.begin(call))
        if trunk is not None:
            self.sip_log.goes_by(offer.call_id, trunk)
        self._carry(self.legs.accept_offer(offer.call_id))
        self.switchboard.start(call)
        if is_offered:
            self.inbound.offer(call.info, routed)

    def _turn_away(self, offer: out.CallOffered, cause: str) -> None:
        end = ending(cause, who=offer.dialled or offer.info.to)
        status = caller_code(end)
        self._refused(out.CallRefused(source=offer.source, status=status, ending=end))
        effect = fx.EndLeg(ending=end, sip_code=status)
        self._carry(self.legs.end(offer.call_id, effect, self._loop.time()))

    def _refused(self, refused: out.CallRefused) -> None:
        self._refusals.note(refused, self._loop.time())

    def _response(self, response: ResponseReceived) -> None:
        self.requests.arrived(response)

    # ------------------------------------------------------------ what calls want

    def _tell_call(self, call: Actor, effect: fx.TellCall) -> None:
        self.switchboard.post(effect.call_id, effect.fact)

    def _join(self, call: Call, effect: fx.Join) -> None:
        self.media.join(effect.a, effect.b)

    def _unjoin(self, call: Call, effect: fx.Unjoin) -> None:
        self.media.unjoin(effect.a, effect.b)

    def _call_over(self, call: Actor, effect: fx.CallOver) -> None:
        if not isinstance(call, Call):
            self.switchboard.forget(call.info.call_id)
            return
        self._call_media.forget(call.info.call_id)
        self._targets.release(call.info.call_id)
        self.recorder.over(call)
        self.sip_log.over(call.info.call_id)
        self.switchboard.forget(call.info.call_id)

    def _dial(self, parent: Actor, effect: fx.Dial) -> None:
        call = self.new_calls.dialled(parent.info, effect)
        # The Call-ID of a call that we make is its id: one name for it in all logs.
        self.sip_log.begin(effect.call_id, effect.call_id, self.recorder.begin(call))
        self.switchboard.start(call)
        self._carry(self.legs.dial(effect, self._loop.time()))

    def _ask(self, call: Call, effect: fx.AskShell) -> None:
        self._asking.ask(call.info, effect)

    def _task_failed(self, call_id: str, error: BaseException) -> None:
        self.switchboard.defects += 1
        _log.error("call %s: internal error; the call is ended", call_id, exc_info=error)
        end = ending("internal_error", who=self._name_of(call_id))
        self.switchboard.post(call_id, facts.HangupRequested(ending=end))


def _nowhere(data: bytes, destination: Endpoint) -> None:
    """Before the socket is open nothing can be sent."""


_CARRY: dict[type, Callable[[Exchange, Any], None]] = {
    SendMessage: Exchange._transmit,
    out.Happened: Exchange._happened,
    out.MediaOrder: Exchange._order_media,
    out.MediaCommand: Exchange._command_media,
    out.OpenMedia: Exchange._open_media,
    out.CloseMedia: Exchange._close_media,
    out.DialogSaved: Exchange._save_dialog,
    out.ResolveTarget: Exchange._resolve,
    out.CallOffered: Exchange._offered,
    out.CallRefused: Exchange._refused,
    ResponseReceived: Exchange._response,
}
"""Who carries out what legs want."""
