"""One whole server for each file, with its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ..api_cases import api_clients, api_laboratory
from ..api_client import Api
from ..cases import Case, Lab


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with api_laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apis(lab: Lab) -> AsyncIterator[dict[str, Api]]:
    async with api_clients(lab) as made:
        yield made


@pytest.fixture
def api(apis: dict[str, Api]) -> Api:
    return apis["alpha"]


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()
