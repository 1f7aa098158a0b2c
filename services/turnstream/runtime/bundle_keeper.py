"""Keeps in a process the versions that a rollout names: loads new ones beside the old, lets go of what is over.

Everything runs on the event loop but reading the disk and loading, which run in threads.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from turnstream.assistant.bundle import Bundle, BundleError, open_bundle
from turnstream.runtime import rollout_metrics as metrics
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import (
    BundleNotLoaded,
    DeadlinePassed,
    InvalidRequest,
    NoBundle,
    TurnstreamError,
    UnknownBundle,
)
from turnstream.runtime.rollout_files import RolloutFiles, Wanted
from turnstream.runtime.settings import BundlesSettings

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
Load = Callable[[Bundle], Any]
Tell = Callable[[str, bool], Awaitable[None]]

RETRY_BROKEN_S = 30.0
"""A bundle that did not load is tried again after this, or once its manifest is another: it may be half copied."""
EAGER_S = 0.25
"""How often to look while a version is on its way."""
WAIT_S = 10.0
"""How long `wait_for` waits for a version; a version that was waited for in vain is refused at once for as long."""


class Gate(Protocol):
    """Something that must have a version too before it can serve: a service that is called, the model server."""

    async def lacks(self, bundle: Bundle) -> str:
        """What is missing; empty where nothing is."""
        ...


@dataclass(frozen=True, slots=True)
class _Broken:
    why: str
    manifest_ns: int
    retry_at: float


class BundleKeeper:
    """A process's versions. `files` None: `first` alone is served, for ever."""

    def __init__(
        self,
        first: Bundle,
        files: RolloutFiles | None = None,
        settings: BundlesSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._settings = settings or BundlesSettings()
        self._clock = clock
        self._opened: dict[str, Bundle] = {first.version: first}
        self._holds: list[tuple[Load, Bundles[Any]]] = []
        self._gates: list[Gate] = []
        self._listeners: list[Tell] = []
        self._wanted = Wanted(first.version, None, {first.version: first.root})
        self._stable = first.version
        self._ready: set[str] = set()
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._broken: dict[str, _Broken] = {}
        self._asked: dict[str, int] = {}
        """Versions that a message named, with the number of looks at the files before."""
        self._refused: dict[str, float] = {}
        self._over_since: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._trouble = ""
        self._looks = 0
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._running: asyncio.Task[None] | None = None

    def hold(self, load: Callable[[Bundle], T]) -> Bundles[T]:
        """What a service keeps of each version, made by `load`. Raises what `load` raises for the first bundle."""
        bundles: Bundles[T] = Bundles(following=self if self._files else None, clock=self._clock)
        for version, bundle in self._opened.items():
            bundles.add(version, load(bundle))
        bundles.serve(self._stable)
        self._holds.append((load, bundles))
        return bundles

    def require(self, gate: Gate) -> None:
        """A version is ready here once this has it as well."""
        self._gates.append(gate)

    async def tell(self, listener: Tell) -> None:
        """Tell `listener` of every version that becomes ready, and of its end; of those that are ready, now."""
        self._listeners.append(listener)
        for version in sorted(self._ready):
            await listener(version, True)

    def start(self) -> None:
        """Follow the files until `stop`."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Leave everything as it is."""
        tasks = [t for t in (self._running, *self._loading.values()) if t is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def stable(self) -> str:
        """The version that serves; empty where none does."""
        return self._stable

    async def loaded(self) -> None:
        """Until nothing is being loaded."""
        await asyncio.gather(*self._loading.values())

    @property
    def bundle(self) -> Bundle | None:
        """The one that serves; None where none does."""
        return self._opened.get(self._stable)

    @property
    def ready(self) -> frozenset[str]:
        return frozenset(self._ready)

    @property
    def problems(self) -> Mapping[str, str]:
        """What stands in the way of the plan, by version; under the empty key what is wrong with the files."""
        return dict(self._problems)

    def version_for(self, conversation_id: str) -> str:
        """The version that serves a conversation's next message. Raises NoBundle."""
        if not self._stable:
            raise NoBundle("no assistant is loaded: a trained one must be put in its place first")
        canary = self._wanted.canary
        if canary is not None and canary.version in self._ready and canary.takes(conversation_id):
            return canary.version
        return self._stable

    async def _run(self) -> None:
        while self._files is not None or not self._ready:
            try:
                await self.look()
            except Exception:
                _LOG.exception("rollout: what is served stays as it is")
            pause_s = min(EAGER_S, self._settings.poll_s) if self._is_under_way else self._settings.poll_s
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause_s)
            self._wake.clear()

    @property
    def _is_under_way(self) -> bool:
        return any(v not in self._ready and v not in self._broken for v in (*self._wanted.versions, *self._opened))

    async def look(self) -> None:
        """Bring the process in line with the files, as far as that goes now; loading goes on in the background."""
        if self._files is not None:
            self._wanted = await asyncio.to_thread(self._files.read)
        self._begin_loading()
        # First what can be decided at once: nothing that is slow to answer may delay taking a version back.
        self._choose()
        await self._pass_gates()
        self._choose()
        await self._let_go()
        self._report()
        self._looks += 1
        async with self._changed:
            self._changed.notify_all()

    def _begin_loading(self) -> None:
        now = self._clock()
        for version in {*self._wanted.versions, *self._asked} & self._wanted.bundles.keys():
            broken = self._broken.get(version)
            path = self._wanted.bundles[version]
            is_due = broken is None or now >= broken.retry_at or broken.manifest_ns != _manifest_ns(path)
            if version not in self._opened and version not in self._loading and is_due:
                self._loading[version] = asyncio.create_task(self._load(version, path))

    async def _load(self, version: str, path: Path) -> None:
        started = time.perf_counter()
        manifest_ns = _manifest_ns(path)
        try:
            bundle = await asyncio.to_thread(open_bundle, path)
            values = await self._values(bundle)
            if bundle.version != version:
                raise BundleError(f"{path}: it is version {bundle.version!r} by now, not {version!r}")
        except Exception as error:
            metrics.LOAD_FAILURES.inc()
            why = str(error) if isinstance(error, BundleError) else f"{path}: {type(error).__name__}: {error}"
            known = self._broken.get(version)
            if known is None or known.why != why:
                _LOG.error("rollout: version %s cannot be loaded, %s goes on: %s", version, self._stable or "none", why)
            self._broken[version] = _Broken(why, manifest_ns, self._clock() + RETRY_BROKEN_S)
        else:
            for (_, bundles), value in zip(self._holds, values, strict=True):
                bundles.add(version, value)
            self._opened[version] = bundle
            self._broken.pop(version, None)
            seconds = time.perf_counter() - started
            metrics.LOAD_SECONDS.observe(seconds)
            _LOG.info("rollout: version %s is loaded (%.1f s)", version, seconds)
        finally:
            del self._loading[version]
            self._wake.set()

    async def _values(self, bundle: Bundle) -> list[Any]:
        """What each service keeps of it, those included that came meanwhile."""
        values: list[Any] = []
        while len(values) < len(self._holds):
            load, _ = self._holds[len(values)]
            values.append(await asyncio.to_thread(load, bundle))
        return values

    def _choose(self) -> None:
        stable = self._wanted.stable
        if (not stable or stable in self._ready) and stable != self._stable:
            _LOG.warning("rollout: %s serves now, in place of %s", stable or "no version", self._stable or "none")
            self._stable = stable
            for _, bundles in self._holds:
                bundles.serve(stable)

    async def _pass_gates(self) -> None:
        waiting = [version for version in self._opened if version not in self._ready]
        reasons = await asyncio.gather(*(self._lacks(self._opened[version]) for version in waiting))
        self._problems = {v: reason for v, reason in zip(waiting, reasons, strict=True) if reason}
        for version, reason in zip(waiting, reasons, strict=True):
            if not reason:
                self._ready.add(version)
                _LOG.info("rollout: version %s is ready", version)
                await self._announce(version, is_ready=True)

    async def _lacks(self, bundle: Bundle) -> str:
        found = await asyncio.gather(*(gate.lacks(bundle) for gate in self._gates))
        return "; ".join(reason for reason in found if reason)

    async def _announce(self, version: str, *, is_ready: bool) -> None:
        for listener in self._listeners:
            await listener(version, is_ready)

    async def _let_go(self) -> None:
        """Of what nobody may name any more: not the plan, nor a message that was accepted before it changed."""
        now = self._clock()
        needed = {*self._wanted.versions, self._stable}
        self._over_since = {v: self._over_since.get(v, now) for v in self._opened if v not in needed}
        for version, since in self._over_since.items():
            used = max([since, *(bundles.used_at(version) for _, bundles in self._holds)])
            if now - used >= self._settings.grace_s:
                await self._announce(version, is_ready=False)
                self._ready.discard(version)
                self._asked.pop(version, None)
                del self._opened[version]
                for _, bundles in self._holds:
                    bundles.remove(version)
                _LOG.info("rollout: version %s is let go", version)

    def _report(self) -> None:
        for version, broken in list(self._broken.items()):
            if version in self._wanted.bundles:
                self._problems[version] = broken.why
            else:
                del self._broken[version]
        trouble = "; ".join(self._wanted.problems)
        if trouble:
            self._problems[""] = trouble
        if trouble != self._trouble:
            if trouble:
                _LOG.error("rollout: %s; %s goes on", trouble, self._stable or "nothing")
            self._trouble = trouble
        canary = self._wanted.canary
        share = canary.share if canary is not None and canary.version in self._ready else 0.0
        metrics.report(self._states(), self._stable, share, len(self._problems))

    def _states(self) -> dict[str, str]:
        named = {*self._opened, *self._loading, *self._wanted.versions, *self._broken}
        return {version: self._state(version) for version in named}

    def _state(self, version: str) -> str:
        if version in self._opened:
            return "ready" if version in self._ready else "loaded"
        if version in self._loading:
            return "loading"
        return "broken" if version in self._broken else "missing"

    def missed(self, version: str) -> TurnstreamError:
        """Load it where it is in the folder: a replica may have been started, or have let go, since it was current."""
        if version in self._broken:
            return UnknownBundle(f"bundle {version!r} cannot be loaded: {self._broken[version].why}")
        if self._is_gone(version):
            del self._asked[version]
            return UnknownBundle(f"there is no bundle {version!r}; there are: {', '.join(self._wanted.bundles)}")
        self._ask_for(version)
        return BundleNotLoaded(f"bundle {version!r} is not loaded yet")

    def _ask_for(self, version: str) -> None:
        if version not in self._asked:
            self._asked[version] = self._looks
        self._wake.set()

    def _is_gone(self, version: str) -> bool:
        """Not there, by what the files say since it was asked for; a look under way then may have read them before."""
        asked = self._asked.get(version)
        return asked is not None and version not in self._wanted.bundles and self._looks > asked + 1

    async def wait_for(self, version: str) -> None:
        """Until it is ready, at most `WAIT_S`. Raises UnknownBundle where it does not exist, or gets no further."""
        if version in self._ready or version == self._stable:
            return
        if self._clock() < self._refused.get(version, 0.0):
            raise UnknownBundle(f"bundle {version!r} is gone")
        try:
            async with asyncio.timeout(WAIT_S):
                await self._until_ready(version)
        except TimeoutError:
            self._refused[version] = self._clock() + WAIT_S
            why = self._problems.get(version, "it is not loaded in time")
            raise UnknownBundle(f"bundle {version!r} cannot serve: {why}") from None

    async def until_stable(self, version: str, timeout_s: float) -> None:
        """Until this version (empty: none) serves by the plan.

        Raises InvalidRequest where it does not load, DeadlinePassed.
        """
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                seen = self._looks
                while self._stable != version or self._wanted.stable != version:
                    self._wake.set()
                    await self._changed.wait()
                    if version in self._broken and self._looks > seen:
                        raise InvalidRequest(self._broken[version].why)
        except TimeoutError:
            why = self._problems.get(version, "it is being loaded")
            raise DeadlinePassed(f"bundle {version!r} does not serve yet: {why}") from None

    async def _until_ready(self, version: str) -> None:
        self._asked.pop(version, None)
        async with self._changed:
            while version not in self._ready:
                self._ask_for(version)
                await self._changed.wait()
                if version in self._broken:
                    raise UnknownBundle(f"bundle {version!r} cannot be loaded: {self._broken[version].why}")
                if self._is_gone(version):
                    del self._asked[version]
                    raise UnknownBundle(f"bundle {version!r} is gone")


def _manifest_ns(path: Path) -> int:
    try:
        return (path / "manifest.json").stat().st_mtime_ns
    except OSError:
        return 0
