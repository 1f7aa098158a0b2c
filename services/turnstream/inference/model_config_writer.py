"""Keeps a model server's configuration in line with a rollout: new versions before they serve, old ones until after."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from turnstream.assistant.bundle import Bundle, BundleError, open_bundle
from turnstream.inference.client import ModelClient
from turnstream.inference.model_config import (
    ModelPlaces,
    config_text,
    labels_of,
    link_models,
    model_server_config,
    unlink_others,
    write_text,
)
from turnstream.runtime.errors import TurnstreamError
from turnstream.runtime.rollout_files import RolloutFiles, Wanted

_LOG = logging.getLogger(__name__)
STABLE, CANARY = "stable", "canary"
ASK_S = 2.0
IsAvailable = Callable[[str, int], Awaitable[bool]]


def asking(client: ModelClient) -> IsAvailable:
    """Whether a model server has loaded a version."""

    async def is_available(model: str, version: int) -> bool:
        try:
            return any(v.available for v in await client.versions(model, version=version, timeout_s=ASK_S))
        except TurnstreamError:
            return False

    return is_available


class ModelConfigWriter:
    """Writes `output` and the links in `models_dir` at each `look` that finds something new.

    It holds the bundles that the plan names, the one that was stable before (services may still serve it, where the
    new one turns out to be broken), and others for `hold_s` after the plan dropped them. With `is_available` a label
    moves once its version is loaded: TensorFlow Serving refuses it before.
    """

    def __init__(
        self,
        files: RolloutFiles,
        models_dir: Path,
        output: Path,
        *,
        hold_s: float,
        is_available: IsAvailable | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._models_dir = models_dir
        self._output = output
        self._hold_s = hold_s
        self._is_available = is_available
        self._clock = clock
        self._opened: dict[str, Bundle] = {}
        self._named_at: dict[str, float] = {}
        self._stable = self._previous = ""
        self._broken: dict[str, str] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._text: str | None = None
        self._places = ModelPlaces({})
        self.problems: tuple[str, ...] = ()
        """What the latest look found wrong with plan and bundles."""

    async def look(self) -> bool:
        """Whether something was written. Raises BundleError where bundles contradict each other, OSError."""
        wanted, places = await asyncio.to_thread(self._read)
        await self._move_labels(wanted)
        self._places = places
        self.problems = (*wanted.problems, *self._broken.values())
        return await asyncio.to_thread(self._write, places)

    @property
    def has_models(self) -> bool:
        return bool(self._places.folders)

    @property
    def summary(self) -> str:
        """Which versions of which models are held, and their labels; for people."""
        held = ", ".join(f"{model.name} {model.version}" for model in sorted(self._places.folders, key=str))
        labels = sorted({f"{label} {v}" for by_label in self._labels.values() for label, v in by_label.items()})
        return f"{held or 'no model'}{'; labels: ' + ', '.join(labels) if labels else ''}"

    def _read(self) -> tuple[Wanted, ModelPlaces]:
        wanted = self._files.read()
        self._open(wanted)
        return wanted, ModelPlaces.of(self._opened.values())

    def _write(self, places: ModelPlaces) -> bool:
        text = config_text(model_server_config(places, self._models_dir, self._labels))
        if text == self._text:
            # By now the server has read the configuration that named them no more.
            unlink_others(places, self._models_dir)
            return False
        self._models_dir.mkdir(parents=True, exist_ok=True)
        link_models(places, self._models_dir)
        write_text(self._output, text)
        self._text = text
        return True

    def _open(self, wanted: Wanted) -> None:
        now = self._clock()
        for version in wanted.versions:
            if self._try(version, wanted):
                self._named_at[version] = now
        if wanted.stable in self._opened and wanted.stable != self._stable:
            self._previous, self._stable = self._stable, wanted.stable
        if not self._previous:
            # After a start nobody tells which one it was: the newest other one, which services turn to as well.
            others = (v for v in reversed(tuple(wanted.bundles)) if v not in wanted.versions)
            self._previous = next((v for v in others if self._try(v, wanted)), "")
        kept = {self._stable, self._previous}
        held = {v for v, at in self._named_at.items() if now - at < self._hold_s}
        self._opened = {v: bundle for v, bundle in self._opened.items() if v in kept | held}

    def _try(self, version: str, wanted: Wanted) -> bool:
        path = wanted.bundles.get(version)
        if version in self._opened or path is None:
            return version in self._opened
        try:
            self._opened[version] = open_bundle(path)
        except BundleError as error:
            if self._broken.get(version) != str(error):
                self._broken[version] = str(error)
                _LOG.error("model configuration: %s", error)
            return False
        self._broken.pop(version, None)
        return True

    async def _move_labels(self, wanted: Wanted) -> None:
        canary = self._opened.get(wanted.canary.version) if wanted.canary else None
        labels = labels_of({STABLE: self._opened.get(wanted.stable), CANARY: canary})
        if self._is_available is None:
            self._labels = labels
            return
        moved: dict[str, dict[str, int]] = {}
        for model, by_label in labels.items():
            for label, version in by_label.items():
                before = self._labels.get(model, {}).get(label)
                target = version if await self._is_available(model, version) else before
                if target is not None:
                    moved.setdefault(model, {})[label] = target
        self._labels = moved
