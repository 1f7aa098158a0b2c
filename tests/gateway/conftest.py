"""A gateway with fakes behind it, and a client of its REST API."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from support.gateway import Behind, running_gateway


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    async with running_gateway() as behind:
        yield behind


@pytest.fixture
async def http(behind: Behind) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(behind.url) as session:
        yield session
