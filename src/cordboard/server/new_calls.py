"""Calls as they are made: from an offer of a far end, or because another call dials."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.actions import CallInfo, Driver
from cordboard.call.call import Call
from cordboard.call.effects import Dial
from cordboard.call.outgoing_dial import OutgoingDial
from cordboard.call.plan import ConnectPlan
from cordboard.legs.identity import is_sip_uri
from cordboard.legs.outputs import CallOffered
from cordboard.server.compiled_documents import CompiledDocuments
from cordboard.server.routes import Routed
from cordboard.swml.script import Script


class NewCalls:
    """What every call of this server begins with.  `domain`: of From URIs made from a name."""

    def __init__(
        self,
        *,
        envs: dict[str, str],
        new_id: Callable[[], str],
        domain: str,
        node_id: str,
        space_id: str,
        compiled: CompiledDocuments,
    ) -> None:
        self._node_id = node_id
        self._space_id = space_id
        self._envs = envs
        self._new_id = new_id
        self._domain = domain
        self._compiled = compiled

    def taken_in(self, offer: CallOffered, routed: Routed | None) -> Call:
        """A call that the document of its route drives; None: clients are asked first."""
        driver = self.script(routed, offer.info) if routed is not None else None
        return Call(info=offer.info, driver=driver, new_id=self._new_id)

    def dialled(self, parent: CallInfo, effect: Dial) -> Call:
        """A call for `parent`; one that must be confirmed has a driver until it is."""
        destination, confirm = effect.destination, effect.destination.confirm
        info = self._info(parent, effect)
        driver: Driver | None = None
        if confirm is not None:
            driver = Script.confirm(confirm, info, envs=self._envs, cache=self._compiled)
        return Call(
            info=info,
            driver=driver,
            parent=effect.parent,
            call_state_url=destination.call_state_url,
            call_state_events=destination.call_state_events,
            destination=destination,
            confirm_timeout=confirm.timeout if confirm is not None else None,
            new_id=self._new_id,
        )

    def outgoing(
        self,
        plan: ConnectPlan,
        *,
        project_id: str,
        owner: str | None,
        tag: str | None,
        call_id: str | None,
        driver: Driver | None,
    ) -> OutgoingDial:
        """A dial that no call asks for; its calls are a session of their own."""
        dial_id = self._new_id()
        info = CallInfo(
            call_id=dial_id,
            node_id=self._node_id,
            segment_id=dial_id,
            project_id=project_id,
            space_id=self._space_id,
            session_id=dial_id,
            call_state="created",
            direction="outbound",
            type="",
            from_="",
            to="",
            tag=tag,
            owner=owner,
        )
        return OutgoingDial(info=info, plan=plan, driver=driver, first_call_id=call_id, new_id=self._new_id)

    def script(self, routed: Routed, info: CallInfo) -> Script:
        """What runs a document on a call that is there already."""
        return Script(
            routed.document,
            info,
            url=routed.url,
            fallback_url=routed.fallback_url,
            envs=self._envs,
            cache=self._compiled,
        )

    def _info(self, parent: CallInfo, effect: Dial) -> CallInfo:
        kind = effect.destination.kind
        from_ = effect.from_
        if kind == "sip" and not is_sip_uri(from_) and not from_.startswith("+"):
            from_ = f"sip:{from_}@{self._domain}"
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
            tag=effect.destination.tag,
            transfers=effect.transfers,
            # A dial that no call asked for is not the parent of what it dials.
            parent_call_id=effect.parent if parent.type else None,
            parent_device_type=parent.type or None,
            owner=effect.owner,
            device=effect.destination.device,
            sole=effect.sole,
        )
