"""What a service holds for each version of an assistant, so that a turn is handled by one version from end to end."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from turnstream.runtime.errors import NoBundle, TurnstreamError, UnknownBundle

T = TypeVar("T")


class Following(Protocol):
    """Whoever loads versions while the process serves; see `runtime.bundle_keeper`."""

    def missed(self, version: str) -> TurnstreamError:
        """Why a version that is not held cannot be had now; it may be loaded because it was asked for."""
        ...

    async def wait_for(self, version: str) -> None:
        """Until the version can serve. Raises UnknownBundle where it cannot."""
        ...


class Bundles(Generic[T]):
    """Loaded bundles by version. `stable` serves where no version is named: the one added last, until `serve` says."""

    def __init__(
        self,
        bundles: Mapping[str, T] | None = None,
        *,
        following: Following | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._by_version: dict[str, T] = {}
        self._stable: str | None = None
        self._following = following
        self._clock = clock
        self._used_at: dict[str, float] = {}
        for version, value in (bundles or {}).items():
            self.add(version, value)

    def add(self, version: str, value: T) -> None:
        """Hold `value` as `version`. Raises ValueError for an empty version."""
        if not version:
            raise ValueError("a bundle's version must not be empty")
        # Taken out first so that a version added again moves to the end.
        self._by_version = {k: v for k, v in self._by_version.items() if k != version} | {version: value}
        self._used_at[version] = self._clock()

    def remove(self, version: str) -> None:
        """Forget a version. Raises UnknownBundle."""
        if version not in self._by_version:
            raise self._missing(version)
        self._by_version = {k: v for k, v in self._by_version.items() if k != version}
        del self._used_at[version]

    def serve(self, version: str) -> None:
        """Make `version` the stable one; empty: none, and who names no version is refused."""
        self._stable = version

    def get(self, version: str = "") -> T:
        """The value of a version; of the stable one where `version` is empty.

        Raises UnknownBundle, BundleNotLoaded where it is being loaded, NoBundle where nothing is served.
        """
        key = version or self.stable
        if key not in self._by_version:
            raise self._following.missed(key) if self._following else self._missing(key)
        self._used_at[key] = self._clock()
        return self._by_version[key]

    async def obtain(self, version: str = "") -> T:
        """As `get`, but waits while the version is being loaded. Raises UnknownBundle where it is gone for good."""
        key = version or self.stable
        if self._following is not None:
            await self._following.wait_for(key)
        return self.get(key)

    @property
    def stable(self) -> str:
        """The version that serves where none is named. Raises NoBundle."""
        stable = next(reversed(self._by_version), "") if self._stable is None else self._stable
        if not stable:
            raise NoBundle("no assistant is loaded")
        return stable

    @property
    def versions(self) -> tuple[str, ...]:
        """Oldest first."""
        return tuple(self._by_version)

    @property
    def items(self) -> Mapping[str, T]:
        return MappingProxyType(self._by_version)

    def used_at(self, version: str) -> float:
        """When a version was last asked for, or added, by the clock. Raises KeyError where it is not held."""
        return self._used_at[version]

    def __len__(self) -> int:
        return len(self._by_version)

    def __contains__(self, version: object) -> bool:
        return version in self._by_version

    def _missing(self, version: str) -> UnknownBundle:
        held = ", ".join(map(repr, self._by_version)) or "none"
        return UnknownBundle(f"there is no bundle of version {version!r}; there are: {held}")
