"""Carries out what calls and legs want: effects to legs, media, store and other calls; orders to sockets.

Nothing is decided here.  Everything is synchronous but the few things that need a network: a name, a
document, audio; those run as tasks that belong to the exchange and end with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from cordboard.call import effects as fx
from cordboard.call import facts
from cordboard.call.actions import CallInfo, DocumentFailed, DocumentFetched, Evaluate, FetchDocument
from cordboard.call.call import Call
from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending, ending
from cordboard.legs import outputs as out
from cordboard.legs.identity import is_sip_uri
from cordboard.legs.sip_legs import SipLegs
from cordboard.media import protocol as media_protocol
from cordboard.server.compiled_documents import CompiledDocuments
from cordboard.server.fetcher import AudioFetcher, DocumentFetcher
from cordboard.server.javascript import evaluate_aside, evaluate_at_once
from cordboard.server.media_engine import MediaEngine
from cordboard.server.playback import Playback
from cordboard.server.recorder import Recorder
from cordboard.server.routes import Routed
from cordboard.server.switchboard import Switchboard
from cordboard.server.targets import Targets
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.events import SendMessage
from cordboard.swml.script import Script

_log = logging.getLogger(__name__)

_LOOK_AGAIN = 0.02

Route = Callable[[str], Routed | None]
"""What answers a dialled number or name."""

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
        audio: AudioFetcher,
        route: Route,
        envs: dict[str, str],
        new_id: Callable[[], str],
    ) -> None:
        self.legs = legs
        self.recorder = recorder
        self.switchboard = Switchboard(self._perform)
        self.taps: list[MessageTap] = []
        self._targets = targets
        self._documents = documents
        self._route = route
        self._envs = envs
        self._compiled = CompiledDocuments()
        self._new_id = new_id
        self._audio = audio
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: float | None = None
        self._send: Callable[[bytes, Endpoint], None] = _nowhere
        self.media: MediaEngine
        self._playback: Playback
        self.draining = False

    def attach(self, send: Callable[[bytes, Endpoint], None], media: MediaEngine) -> None:
        """The socket and the workers, once they are open."""
        self._send = send
        self.media = media
        self._playback = Playback(media, self._audio, self.switchboard.post, self.spawn)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something that waits; it is cancelled with the exchange."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._documents.close()
        await self._audio.close()

    def counts(self) -> dict[str, int]:
        """What is held for calls: all 0 at rest."""
        return {
            "calls": len(self.switchboard),
            "legs": len(self.legs),
            "tasks": len(self._tasks),
            "records": len(self.recorder),
            "plays": len(self._playback),
            "endpoints": self.media.endpoints(),
            **self.legs.stack.counts(),
        }

    async def quiet(self) -> None:
        """Wait until every far end has been seen off and every endpoint is closed."""
        await self.switchboard.empty()
        while self.legs.stack.counts()["sessions"] or self.media.endpoints():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN)

    def hang_up_saved(self, saved: bytes) -> None:
        """BYE in a dialog that a server left behind when it died."""
        self._carry(self.legs.hang_up_saved(saved, self._loop.time()))

    # ------------------------------------------------------------ from the sockets

    def received(self, data: bytes, source: Endpoint) -> None:
        for tap in self.taps:
            tap("received", data, source)
        self._carry(self.legs.receive(data, source, self._loop.time()))

    def unreachable(self, destination: Endpoint) -> None:
        self._carry(self.legs.transport_failed(destination, self._loop.time()))

    def _legs_timeout(self) -> None:
        self._timer = self._timer_due = None
        self._carry(self.legs.handle_timeout(self._loop.time()))

    def _arm(self) -> None:
        due = self.legs.next_timeout()
        if due == self._timer_due and self._timer is not None:
            return
        if self._timer is not None:
            # An earlier wake-up is harmless and rare; a timer for each message would not be.
            if due is not None and self._timer_due is not None and self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_at(due, self._legs_timeout) if due is not None else None

    # ------------------------------------------------------------ from the media

    def media_event(self, event: media_protocol.Event) -> None:
        now = self._loop.time()
        match event:
            case media_protocol.EndpointOpened():
                self.recorder.media_opened(event.endpoint_id)
                self._carry(self.legs.media_opened(event, now))
            case media_protocol.EndpointRefused():
                self._carry(self.legs.media_refused(event, now))
            case media_protocol.EndpointClosed():
                self.recorder.media_closed(event.endpoint_id, event.statistics)
            case media_protocol.PlayEnded():
                self._playback.ended(event)
            case media_protocol.DigitHeard():
                fact = facts.DigitReceived(digit=event.digit, duration_ms=event.duration_ms)
                self.switchboard.post(event.endpoint_id, fact)

    def worker_died(self, endpoint_ids: list[str], sentence: str) -> None:
        """Its calls end with the true reason; everybody else goes on."""
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
        for output in outputs:
            self._carry_one(output)
        self._arm()

    def _carry_one(self, output: out.Output) -> None:
        match output:
            case SendMessage():
                self._send(output.data, output.destination)
                for tap in self.taps:
                    tap("sent", output.data, output.destination)
            case out.Happened():
                self.switchboard.post(output.call_id, output.fact)
            case out.MediaOrder():
                self.media.set_remote(output.command)
            case out.OpenMedia():
                self.media.open(output.call_id, near=output.near)
            case out.CloseMedia():
                self.media.close(output.call_id)
            case out.DialogSaved():
                self.recorder.dialog_saved(output.call_id, output.saved)
            case out.ResolveTarget():
                self._resolve(output)
            case out.CallOffered():
                self._offered(output)

    def _resolve(self, order: out.ResolveTarget) -> None:
        found = self._targets.find_at_once(order.destination)
        if found is not None:
            self._resolved(order.call_id, found)
        else:
            self.spawn(self._look_up(order.call_id, order.destination))

    async def _look_up(self, call_id: str, destination: Destination) -> None:
        self._resolved(call_id, await self._targets.find(destination))

    def _resolved(self, call_id: str, found: out.Target | Ending) -> None:
        now = self._loop.time()
        if isinstance(found, Ending):
            self._carry(self.legs.unresolved(call_id, found, now))
        else:
            self._carry(self.legs.resolved(call_id, found, now))

    def _offered(self, offer: out.CallOffered) -> None:
        routed = self._route(offer.dialled)
        if routed is None or self.draining:
            self._turn_away(offer, 503 if routed else 404)
            return
        script = Script(
            routed.document,
            offer.info,
            url=routed.url,
            fallback_url=routed.fallback_url,
            envs=self._envs,
            cache=self._compiled,
        )
        call = Call(info=offer.info, driver=script, new_id=self._new_id)
        self.recorder.begin(call)
        self._carry(self.legs.accept_offer(offer.call_id))
        self.switchboard.start(call)

    def _turn_away(self, offer: out.CallOffered, status: int) -> None:
        cause = "no_document" if status == 404 else "server_stopping"
        end = ending(cause, who=offer.dialled or offer.info.to)
        _log.info("call from %s refused with %d: %s", offer.info.from_, status, end.sentence)
        effect = fx.EndLeg(ending=end, sip_code=status)
        self._carry(self.legs.end(offer.call_id, effect, self._loop.time()))

    # ------------------------------------------------------------ what calls want

    def _perform(self, call: Call, effect: fx.Effect) -> None:
        now = self._loop.time()
        call_id = call.info.call_id
        match effect:
            case fx.Report():
                self.recorder.report(call, effect)
            case fx.TellCall():
                self.switchboard.post(effect.call_id, effect.fact)
            case fx.AskShell():
                self._ask(call, effect)
            case fx.RingLeg():
                self._carry(self.legs.ring(call_id, effect, now))
            case fx.AnswerLeg():
                self._carry(self.legs.answer(call_id, effect, now))
            case fx.EndLeg():
                self._carry(self.legs.end(call_id, effect, now))
            case fx.Dial():
                self._dial(call, effect)
            case fx.Join():
                self.media.join(effect.a, effect.b)
            case fx.Unjoin():
                self.media.unjoin(effect.a, effect.b)
            case fx.PlayTo():
                self._playback.play(call_id, effect)
            case fx.StopPlay():
                self._playback.stop(call_id, effect)
            case fx.CallOver():
                self._playback.forget(call_id)
                self.recorder.over(call)
                self.switchboard.forget(call_id)

    def _dial(self, parent: Call, effect: fx.Dial) -> None:
        destination = effect.destination
        call = Call(
            info=self._dialled_info(parent.info, effect),
            driver=None,
            parent=effect.parent,
            call_state_url=destination.call_state_url,
            call_state_events=destination.call_state_events,
            destination=destination,
            new_id=self._new_id,
        )
        self.recorder.begin(call)
        self.switchboard.start(call)
        self._carry(self.legs.dial(effect, self._loop.time()))

    def _dialled_info(self, parent: CallInfo, effect: fx.Dial) -> CallInfo:
        kind = effect.destination.kind
        from_ = effect.from_
        if kind == "sip" and not is_sip_uri(from_) and not from_.startswith("+"):
            from_ = f"sip:{from_}@{self.legs.domain}"
        return CallInfo(
            call_id=effect.call_id,
            node_id=parent.node_id,
            segment_id=self._new_id(),
            project_id=parent.project_id,
            space_id=parent.space_id,
            session_id=effect.session_id,
            call_state="created",
            direction="outbound",
            type=kind,
            from_=from_,
            to=effect.destination.to,
            from_name=effect.from_name,
            headers=effect.destination.headers,
            parent_call_id=effect.parent,
        )

    # ------------------------------------------------------------ what drivers ask

    def _ask(self, call: Call, effect: fx.AskShell) -> None:
        request = effect.request
        if isinstance(request, Evaluate):
            reply = evaluate_at_once(request.expression, request.bindings)
            if reply is not None:
                self._reply(call.info.call_id, effect.ticket, reply)
            else:
                self.spawn(self._evaluate_aside(call.info.call_id, effect.ticket, request))
        else:
            self.spawn(self._fetch(call.info, effect.ticket, request))

    def _reply(self, call_id: str, ticket: int, result: Any) -> None:
        self.switchboard.post(call_id, facts.DriverReply(ticket=ticket, result=result))

    async def _evaluate_aside(self, call_id: str, ticket: int, request: Evaluate) -> None:
        self._reply(call_id, ticket, await evaluate_aside(request.expression, request.bindings))

    async def _fetch(self, info: CallInfo, ticket: int, request: FetchDocument) -> None:
        result: DocumentFetched | DocumentFailed = await self._documents.fetch(request, info, self._envs)
        self._reply(info.call_id, ticket, result)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.switchboard.defects += 1
            _log.error("a task of the exchange failed", exc_info=error)


def _nowhere(data: bytes, destination: Endpoint) -> None:
    """Before the socket is open nothing can be sent."""
