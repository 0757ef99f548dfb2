"""pytest fixtures for tests of call flows.  In your conftest.py:

    pytest_plugins = ["cordboard.testing.fixtures"]

They need `pytest` and `pytest-asyncio` (auto mode, or `@pytest.mark.asyncio` on the tests).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import PhoneBank, SimulatedPhone

MakePhone = Callable[..., Awaitable[SimulatedPhone]]


@pytest_asyncio.fixture
async def make_phone() -> AsyncIterator[MakePhone]:
    """`await make_phone(**behaviour)`: a phone of its own, which hangs up when the test is over.

    The keyword arguments are those of `Behaviour`: `answer_after=1.0`, `refuse=486`, `digits="12#"` …
    """
    async with AsyncExitStack() as phones:

        async def make(*, name: str = "phone", **behaviour: Any) -> SimulatedPhone:
            return await phones.enter_async_context(SimulatedPhone(Behaviour(**behaviour), name=name))

        yield make


@pytest_asyncio.fixture
async def phone_bank() -> AsyncIterator[PhoneBank]:
    """The documented phones (`alice`, `busy`, `+15550100` …) behind one socket: `phone_bank.uri("alice")`."""
    async with PhoneBank() as bank:
        yield bank
