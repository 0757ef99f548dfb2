"""Which client gets a call: clients that pass, that die, that come and go; and the document behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .cases import until
from .sdk.abilities import able
from .sdk.lab import PROJECT, Json, RelayCase, RelayLab, relay_laboratory
from .sdk.programs import OURS, Sdk
from .sounds import FILE_TONE, tone

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_peer]


def routes(url: str) -> Json:
    """Beside a context for each SDK: one with a document behind it, one with two clients, one added late."""
    return {
        "fallback": {"context": "served", "document": f"{url}/fallback"},
        "both": {"context": "both"},
        "late": {"context": "late"},
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayLab]:
    async with relay_laboratory(tmp_path_factory.mktemp("relay"), routes=routes) as made:
        site = made.lab.site
        site.document("/tone.wav", tone(5.0, 8000))
        steps = [{"play": f"{site.url}/tone.wav"}]
        site.document("/fallback", {"version": "1.0.0", "sections": {"main": steps}})
        yield made


async def nobody_is_there(case: RelayCase, context: str) -> None:
    """Clients of the test before may still be leaving."""
    hub = case.lab.lab.server.relay.hub
    await until(lambda: not hub.subscribers(PROJECT, context))


@able("pass")
async def test_a_call_that_one_client_passes_is_taken_by_the_other(case: RelayCase, sdk: Sdk) -> None:
    await nobody_is_there(case, "both")
    one = await case.lab.another(sdk, case.programs, contexts=["both"])
    caller = await case.calls(to="both")
    call = await one.offered()
    other = await case.lab.another(sdk, case.programs, contexts=["both"])
    await one("pass", call=call)
    assert await other.taken() == call
    assert await caller.answered()
    await other("hangup", call=call)
    await caller.ended()


@able()
async def test_a_call_whose_client_dies_before_it_answers_goes_to_the_next(case: RelayCase, sdk: Sdk) -> None:
    await nobody_is_there(case, "both")
    one = await case.lab.another(sdk, case.programs, contexts=["both"])
    caller = await case.calls(to="both")
    call = await one.offered()
    other = await case.lab.another(sdk, case.programs, contexts=["both"])
    one.program.kill()
    assert await other.taken() == call
    assert await caller.answered()
    await other("hangup", call=call)
    await caller.ended()


@able("pass")
async def test_a_call_that_all_pass_gets_the_document(case: RelayCase, sdk: Sdk) -> None:
    await nobody_is_there(case, "served")
    one = await case.lab.another(sdk, case.programs, contexts=["served"])
    caller = await case.calls(to="fallback")
    await one("pass", call=await one.offered())
    assert await caller.hears(FILE_TONE)
    caller.hang_up()
    await caller.ended()


async def test_a_call_gets_the_document_where_no_client_is(case: RelayCase) -> None:
    await nobody_is_there(case, "served")
    caller = await case.calls(to="fallback")
    assert await caller.hears(FILE_TONE)
    caller.hang_up()
    await caller.ended()


async def test_a_call_is_refused_where_neither_is(case: RelayCase) -> None:
    await nobody_is_there(case, "late")
    caller = await case.calls(to="late")
    assert (await caller.ended()).status == 480


@able()
async def test_a_context_is_left_and_taken_up_again(case: RelayCase, sdk: Sdk) -> None:
    await nobody_is_there(case, "late")
    remote = await case.lab.another(sdk, case.programs, contexts=["late"])
    await remote("unreceive", contexts=["late"])
    refused = await case.calls(to="late")
    assert (await refused.ended()).status == 480
    await remote("receive", contexts=["late"])
    caller = await case.calls(to="late")
    call = await remote.taken()
    assert await caller.answered()
    await remote("hangup", call=call)
    await caller.ended()


@able("add a context")
async def test_a_context_is_added(case: RelayCase, sdk: Sdk) -> None:
    await nobody_is_there(case, "late")
    remote = await case.lab.another(sdk, case.programs, contexts=["both"])
    await remote("receive", contexts=["late"])
    for number in ("late", "both"):
        caller = await case.calls(to=number)
        call = await remote.taken()
        if sdk is OURS:
            assert (await remote("about", call=call))["context"] == number
        await remote("hangup", call=call)
        await caller.ended()
