"""A whole assistant in this process, for tests: every service, the turn log in a file, the REST door on loopback."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from turnstream.assistant.bundle import open_bundle
from turnstream.assistant.config import Endpoint, Endpoints
from turnstream.cli.assembly import Assembly
from turnstream.cli.placement import Assistant
from turnstream.cli.serving import whole_assistant
from turnstream.inspector.project_files import ProjectFiles
from turnstream.models.training_loop import TrainingProgress
from turnstream.runtime.settings import Settings, load_settings
from turnstream.training.parts import PartOutcome
from turnstream.training.train import TrainingRequest, TrainingResult, train


class SilentReporter:
    """Tells nobody how training goes."""

    def begin(self, part: str) -> None:
        pass

    def progress(self, part: str, progress: TrainingProgress) -> None:
        pass

    def end(self, outcome: PartOutcome) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Served:
    """`url` is that of the REST door, with the API enabled."""

    assembly: Assembly
    url: str


def train_quietly(request: TrainingRequest) -> TrainingResult:
    """Train without a word. Raises ProjectError."""
    return train(request, SilentReporter())


@asynccontextmanager
async def served(
    bundle: Path,
    log: Path,
    action_url: str | None = None,
    calm_url: str | None = None,
    nlg_url: str | None = None,
    *,
    inspects: bool = False,
    project: Path | None = None,
    data: Sequence[str] = (),
    **more: str | int | float | bool,
) -> AsyncIterator[Served]:
    """Serve a bundle; `action_url` is the webhook of its action server, `calm_url` that of another engine.

    `nlg_url` is that of an NLG server. With `inspects` the inspector is open, which may write files of `project`,
    whose training data are in `data`.
    `more` are settings, such as `gateway__auth_token`.
    """
    given = {name.replace("__", "."): value for name, value in more.items()}
    overrides: dict[str, str | int | float | bool | None] = {
        "gateway.port": 0,
        "gateway.enable_api": True,
        "turn_log.path": str(log),
    }
    settings: Settings = load_settings(environment={}, overrides=overrides | given)
    action = Endpoint("action_endpoint", action_url) if action_url else None
    calm = Endpoint("calm_endpoint", calm_url) if calm_url else None
    nlg = Endpoint("nlg", nlg_url) if nlg_url else None
    endpoints = Endpoints(action=action, calm=calm, nlg=nlg)
    files = ProjectFiles(project, tuple(project / place for place in data)) if project else None
    assistant = Assistant(open_bundle(bundle), endpoints, inspects=inspects, project=files)
    async with whole_assistant(assistant, settings) as assembly, assembly.rest() as rest:
        yield Served(assembly, rest.url)
