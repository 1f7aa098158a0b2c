"""How a part of the contract comes by a log."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

import pytest

from turnstream.testing.turnlog_contract.running import Running, soon
from turnstream.turnlog.interface import (
    TurnLog,
)


class OpenedLog(ABC):
    """How to open a log, to open the same one again, and to stop one as a killed process would."""

    @abstractmethod
    async def open_log(self, *, max_unanswered: int = 1000) -> TurnLog:
        """Open the test's log (the same one each time); it is closed by `shut`."""

    @abstractmethod
    async def crash(self, log: TurnLog) -> None:
        """Stop this one as if its process had been killed."""

    @abstractmethod
    async def shut(self) -> None:
        """Close whatever is still open."""

    @pytest.fixture(autouse=True)
    async def _shut_at_the_end(self) -> AsyncIterator[None]:
        yield
        await soon(self.shut())

    async def run(self) -> Running:
        return Running(await self.open_log())
