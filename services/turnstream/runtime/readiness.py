"""Whether a process can do its work now: what it needs is looked at again and again, and its health check told."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType

_LOG = logging.getLogger(__name__)

Need = Callable[[], Awaitable[str]]
"""Says what is missing, for people; an empty text where nothing is."""

INTERVAL_S = 3.0
PATIENCE_S = 5.0


class Readiness:
    """`async with Readiness(needs, server.set_ready):` Each need has a few seconds to answer."""

    def __init__(
        self,
        needs: Mapping[str, Need],
        tell: Callable[[bool], Awaitable[None]],
        *,
        interval_s: float = INTERVAL_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`needs` by the name of who has them; `tell` hears True or False after each look."""
        self._needs = dict(needs)
        self._tell = tell
        self._interval_s = interval_s
        self._patience_s = patience_s
        self._missing: dict[str, str] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def look(self) -> bool:
        """Look once, and tell."""
        answers = await asyncio.gather(*map(self._ask, self._needs.values()))
        missing = {name: answer for name, answer in zip(self._needs, answers, strict=True) if answer}
        self._log(missing)
        self._missing = missing
        await self._tell(not missing)
        return not missing

    async def _ask(self, need: Need) -> str:
        try:
            async with asyncio.timeout(self._patience_s):
                return await need()
        except TimeoutError:
            return f"no answer within {self._patience_s:g} s"
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def _log(self, missing: Mapping[str, str]) -> None:
        if missing == self._missing:
            return
        for name, what in missing.items():
            _LOG.warning("not ready: %s: %s", name, what)
        if not missing:
            _LOG.info("ready")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self.look()

    async def __aenter__(self) -> "Readiness":
        await self.look()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
