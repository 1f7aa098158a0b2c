"""The models that a server holds: versions, labels and states; loading, replacing and dropping them at run time."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from turnstream.api.serving.v1 import serving_pb2 as pb
from turnstream.inference.batching import Batcher, BatchLimits
from turnstream.inference.signatures import PREDICT_METHOD, Signature
from turnstream.inference.sources import SAVED_MODEL, ModelFiles
from turnstream.runtime.errors import InvalidRequest, Unavailable, UnknownModel

_LOG = logging.getLogger(__name__)
State = pb.ModelVersionStatus


class Model(Protocol):
    """A loaded SavedModel."""

    @property
    def signatures(self) -> Mapping[str, Signature]: ...

    def run(self, signature: str, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Blocking; called from threads. All outputs, by name."""
        ...

    def close(self) -> None: ...


class ServedModel:
    """One version, ready to be asked; requests for the same signature are batched."""

    def __init__(self, name: str, version: int, model: Model, executor: Executor, limits: BatchLimits) -> None:
        self.name = name
        self.version = version
        self.model = model
        self._batchers = {
            key: Batcher(_runner(model, key), signature.outputs, executor, limits)
            for key, signature in model.signatures.items()
            if signature.method == PREDICT_METHOD
        }

    def __str__(self) -> str:
        return f"model {self.name!r} version {self.version}"

    def signature(self, name: str) -> Signature:
        """Raises InvalidRequest for a name that is none, or cannot be called."""
        if name not in self._batchers:
            known = ", ".join(sorted(self._batchers)) or "none"
            raise InvalidRequest(f"{self} has no signature {name!r} (signatures: {known})")
        return self.model.signatures[name]

    async def predict(self, signature: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return await self._batchers[signature].submit(inputs)

    async def retire(self) -> None:
        """Close once what runs or waits is answered; nothing may be asked any more."""
        for batcher in self._batchers.values():
            await batcher.idle()
        self.model.close()


def _runner(model: Model, signature: str) -> Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]:
    return lambda inputs: model.run(signature, inputs)


@dataclass(slots=True)
class _Slot:
    path: Path
    changed_ns: int
    state: int = State.LOADING
    served: ServedModel | None = None
    error: str = ""


class ModelRepository:
    """`find` says what is on disk; `load` reads one version (blocking, in a thread)."""

    def __init__(
        self,
        find: Callable[[], Mapping[str, ModelFiles]],
        load: Callable[[Path], Model],
        executor: Executor,
        limits: BatchLimits | None = None,
    ) -> None:
        self._find = find
        self._load = load
        self._executor = executor
        self._limits = limits or BatchLimits()
        self._slots: dict[tuple[str, int], _Slot] = {}
        self._labels: dict[str, Mapping[str, int]] = {}
        self._refreshing = asyncio.Lock()
        self._is_loading = True

    async def refresh(self) -> None:
        """Bring in line with the disk: load what is new or changed, side by side, then drop what is gone.

        A version that fails to load is in `status` with its error, and is tried again once its file changes.
        """
        async with self._refreshing:
            found = await asyncio.to_thread(self._find)
            wanted = {(name, v): path for name, files in found.items() for v, path in files.versions.items()}
            stale = [key for key, path in wanted.items() if self._is_stale(key, path)]
            await asyncio.gather(*(self._bring_in(key, wanted[key]) for key in stale))
            self._labels = {name: self._labelled(name, files) for name, files in found.items()}
            for key in self._slots.keys() - wanted.keys():
                await self._drop(key)
            self._is_loading = False

    async def reconfigure(self, find: Callable[[], Mapping[str, ModelFiles]]) -> None:
        """Hold what `find` says, from now on. Raises what it raises, and then goes on as before."""
        await asyncio.to_thread(find)
        self._find = find
        await self.refresh()

    def _labelled(self, name: str, files: ModelFiles) -> dict[str, int]:
        """A label stays where it was as long as its new version cannot be asked, as in TF Serving."""
        before, available = self._labels.get(name, {}), self._available(name)
        moved = {label: v if v in available else before.get(label, v) for label, v in files.labels.items()}
        return {label: v for label, v in moved.items() if v in available}

    def _is_stale(self, key: tuple[str, int], path: Path) -> bool:
        slot = self._slots.get(key)
        return slot is None or (slot.path, slot.changed_ns) != (path, _changed_ns(path))

    async def _bring_in(self, key: tuple[str, int], path: Path) -> None:
        """An earlier version under the same number answers until the new one is ready."""
        old = self._slots.get(key)
        slot = _Slot(path, _changed_ns(path))
        if old is None or old.served is None:
            self._slots[key] = slot
        try:
            model = await asyncio.get_running_loop().run_in_executor(self._executor, self._load, path)
        except Exception as error:
            slot.state, slot.error = State.END, f"{path}: {error}"
            _LOG.exception("model %s version %d cannot be loaded from %s", *key, path)
            if old is not None and old.served is not None:
                old.changed_ns = slot.changed_ns
                old.path = path
            return
        slot.served = ServedModel(*key, model, self._executor, self._limits)
        slot.state = State.AVAILABLE
        self._slots[key] = slot
        if old is not None and old.served is not None:
            await old.served.retire()
        _LOG.info("model %s version %d is loaded from %s", *key, path)

    async def _drop(self, key: tuple[str, int]) -> None:
        slot = self._slots.pop(key)
        if slot.served is not None:
            await slot.served.retire()
        _LOG.info("model %s version %d is dropped", *key)

    def resolve(self, spec: pb.ModelSpec) -> ServedModel:
        """The version that a request means: the named one, the label's, or the newest.

        Raises UnknownModel, and Unavailable until the models that were there at the start are loaded: a server that
        was started again must be asked again.
        """
        if not spec.name:
            raise InvalidRequest("model_spec.name must not be empty")
        choice = spec.WhichOneof("version_choice")
        available = self._available(spec.name)
        if self._is_loading and not available:
            raise Unavailable("the models are being loaded")
        if choice == "version_label":
            version = self._labels.get(spec.name, {}).get(spec.version_label)
            if version is None:
                raise UnknownModel(f"model {spec.name!r} has no version labelled {spec.version_label!r}")
        else:
            version = spec.version.value if choice == "version" else max(available, default=-1)
        if version not in available:
            raise UnknownModel(self._missing(spec.name, version if choice else None, available))
        return available[version]

    def _available(self, name: str) -> dict[int, ServedModel]:
        return {v: s.served for (n, v), s in self._slots.items() if n == name and s.served is not None}

    def _missing(self, name: str, version: int | None, available: Mapping[int, ServedModel]) -> str:
        if available:
            versions = ", ".join(map(str, sorted(available)))
            return f"model {name!r} has no version {version} (versions: {versions})"
        names = ", ".join(sorted({n for n, _ in self._slots})) or "none"
        broken = [s.error for (n, _), s in self._slots.items() if n == name and s.error]
        return f"model {name!r} is not available{': ' if broken else ''}{'; '.join(broken)} (models: {names})"

    def status(self, name: str, version: int | None = None) -> list[pb.ModelVersionStatus]:
        """Newest version first. Raises UnknownModel where there is none."""
        slots = {v: s for (n, v), s in self._slots.items() if n == name and version in (None, v)}
        if not slots:
            raise UnknownModel(self._missing(name, version, self._available(name)))
        return [_status(v, slots[v]) for v in sorted(slots, reverse=True)]

    @property
    def served(self) -> tuple[ServedModel, ...]:
        return tuple(s.served for s in self._slots.values() if s.served is not None)

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(s.error for s in self._slots.values() if s.error)


def _changed_ns(path: Path) -> int:
    file = path / SAVED_MODEL
    return file.stat().st_mtime_ns if file.exists() else 0


def _status(version: int, slot: _Slot) -> pb.ModelVersionStatus:
    status = pb.Status(error_code=2 if slot.error else 0, error_message=slot.error)
    return pb.ModelVersionStatus(version=version, state=slot.state, status=status)  # type: ignore[arg-type]
