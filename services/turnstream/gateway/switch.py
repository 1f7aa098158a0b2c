"""Replacing and unloading the assistant by request: what `PUT /model` and `DELETE /model` do to the rollout's plan."""

import asyncio
from pathlib import Path

from turnstream.assistant.bundle import Bundle, BundleError, find_bundle, open_bundle
from turnstream.runtime.bundle_keeper import BundleKeeper
from turnstream.runtime.errors import Conflict, InvalidRequest
from turnstream.runtime.rollout import RolloutPlan, write_plan
from turnstream.runtime.rollout_files import RolloutFiles

SWITCH_S = 60.0
"""How long a request waits until the new version serves."""


class ModelSwitch:
    """`files` None: the gateway follows nothing, and refuses."""

    def __init__(self, keeper: BundleKeeper, files: RolloutFiles | None, timeout_s: float = SWITCH_S) -> None:
        self._keeper = keeper
        self._files = files
        self._timeout_s = timeout_s

    async def replace(self, model_file: str) -> None:
        """Serve the bundle at a path, or the newest one in it, to everybody; a canary is taken back.

        Returns once it serves here. Raises InvalidRequest for what is no bundle, or cannot be loaded, Conflict where
        the plan cannot be changed from here, DeadlinePassed.
        """
        files = self._followed()
        try:
            bundle = await asyncio.to_thread(lambda: open_bundle(find_bundle(Path(model_file))))
        except BundleError as error:
            raise InvalidRequest(str(error)) from error
        await self._write(files, RolloutPlan(_name(bundle, files)))
        await self._keeper.until_stable(bundle.version, self._timeout_s)

    async def unload(self) -> None:
        """Serve nothing; what was accepted is still answered. Raises Conflict, DeadlinePassed."""
        await self._write(self._followed(), RolloutPlan(""))
        await self._keeper.until_stable("", self._timeout_s)

    def _followed(self) -> RolloutFiles:
        if self._files is None:
            raise Conflict("this gateway serves one bundle for ever; set TURNSTREAM_BUNDLES_FOLDER to change it")
        return self._files

    async def _write(self, files: RolloutFiles, plan: RolloutPlan) -> None:
        try:
            await asyncio.to_thread(write_plan, files.plan_file, plan)
        except OSError as error:
            where = f"{files.plan_file} cannot be written here ({error.strerror})"
            raise Conflict(f"{where}: change it at its source") from error


def _name(bundle: Bundle, files: RolloutFiles) -> str:
    """How the plan names a bundle: by version in the folder that is followed, else by its path."""
    if files.folder is None:
        return str(bundle.root.resolve())
    if bundle.root.resolve().parent != files.folder.resolve():
        raise InvalidRequest(f"{bundle.root} is not in {files.folder}: only there do all services find it")
    return bundle.version
