"""A trained project, shared by all tests of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.inspected import Inspected, inspected, trained


@pytest.fixture(scope="session")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("orders"))


@pytest.fixture
async def scene(orders: Path, tmp_path: Path) -> AsyncIterator[Inspected]:
    async with inspected(orders, tmp_path) as found:
        yield found
