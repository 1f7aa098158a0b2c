"""What a folder of bundles and the plan beside them say now."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from turnstream.assistant.bundle import MANIFEST, Bundle, BundleError, Manifest, open_bundle, read_manifest
from turnstream.runtime.rollout import PLAN_FILE, Canary, PlanError, RolloutPlan, read_plan
from turnstream.runtime.settings import BundlesSettings

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Versions, not paths: `stable` is empty where no assistant is to be served. `bundles` are all that there are."""

    stable: str
    canary: Canary | None = None
    bundles: Mapping[str, Path] = field(default_factory=dict)
    """By version, oldest first."""
    problems: tuple[str, ...] = ()

    @property
    def versions(self) -> tuple[str, ...]:
        """Those that the plan names."""
        return RolloutPlan(self.stable, self.canary).named


class RolloutFiles:
    """Reads folder and plan anew at each `read`. A plan that cannot be used leaves the one before it in force."""

    def __init__(self, folder: Path | None, plan: Path | None = None) -> None:
        """Without `plan` it is `rollout.yaml` in the folder. Raises ValueError without both."""
        if folder is None and plan is None:
            raise ValueError("a folder or a plan is needed")
        self.folder = folder
        self.plan_file = plan or (folder or Path()) / PLAN_FILE
        self._good: RolloutPlan | None = None
        self._newest = ""
        self._manifests: dict[Path, tuple[tuple[int, int], Manifest]] = {}

    @classmethod
    def of(cls, settings: BundlesSettings) -> "RolloutFiles | None":
        """None where nothing is to be followed."""
        if not settings.folder and not settings.plan:
            return None
        return cls(Path(settings.folder) if settings.folder else None, Path(settings.plan) if settings.plan else None)

    def read(self) -> Wanted:
        """Blocking."""
        problems: list[str] = []
        plan = self._plan(problems)
        by_path = [Path(name) for name in plan.named if "/" in name] if plan else []
        places = list(dict.fromkeys((*self._folders(problems), *by_path)))
        found = self._bundles(places, problems)
        versions = {path.resolve(): version for version, path in found.items()}

        def version_of(name: str) -> str:
            return versions.get(Path(name).resolve(), name) if "/" in name else name

        if plan is None:
            # A folder that is empty or cannot be read for a moment is no order to serve nothing.
            self._newest = next(reversed(found), self._newest)
            return Wanted(self._newest, None, found, tuple(problems))
        canary = Canary(version_of(plan.canary.version), plan.canary.share) if plan.canary else None
        stable = version_of(plan.stable)
        named = RolloutPlan(stable, canary).named
        missing = (f"{self.plan_file}: there is no bundle {name!r}" for name in named if name not in found)
        return Wanted(stable, canary, found, (*problems, *missing))

    def _plan(self, problems: list[str]) -> RolloutPlan | None:
        try:
            self._good = read_plan(self.plan_file)
        except PlanError as error:
            problems.append(str(error))
        return self._good

    def _folders(self, problems: list[str]) -> list[Path]:
        if self.folder is None:
            return []
        try:
            return [p for p in self.folder.iterdir() if not p.name.startswith(".") and (p / MANIFEST).is_file()]
        except OSError as error:
            problems.append(f"{self.folder}: cannot be read: {error.strerror}")
            return []

    def _bundles(self, places: list[Path], problems: list[str]) -> dict[str, Path]:
        manifests: dict[Path, Manifest] = {}
        for path in places:
            try:
                manifests[path] = self._manifest(path)
            except BundleError as error:
                problems.append(str(error))
        self._manifests = {path: known for path, known in self._manifests.items() if path in manifests}
        ordered = sorted(manifests, key=lambda path: (manifests[path].trained_at, path.name))
        return {manifests[path].version: path for path in ordered}

    def _manifest(self, path: Path) -> Manifest:
        """Read once, and again when the file is another."""
        try:
            stat = (path / MANIFEST).stat()
        except OSError as error:
            raise BundleError(f"{path}: not a bundle: {error.strerror}") from error
        signature = (stat.st_mtime_ns, stat.st_ino)
        known = self._manifests.get(path)
        if known is None or known[0] != signature:
            known = (signature, read_manifest(path))
            self._manifests[path] = known
        return known[1]

    def first(self) -> Bundle:
        """The bundle to start with: the plan's stable one; where that does not open, the newest other that does.

        Raises BundleError where there is none.
        """
        wanted = self.read()
        for problem in wanted.problems:
            _LOG.error("rollout: %s", problem)
        refusals = []
        others = [version for version in reversed(tuple(wanted.bundles)) if version != wanted.stable]
        for version in (wanted.stable, *others):
            if version in wanted.bundles:
                try:
                    return open_bundle(wanted.bundles[version])
                except BundleError as error:
                    _LOG.error("rollout: %s", error)
                    refusals.append(str(error))
        place = self.folder or self.plan_file
        raise BundleError(
            "\n".join(refusals or wanted.problems) or f"{place}: no trained model here. Run 'turnstream train' first."
        )
