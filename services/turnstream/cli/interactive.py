"""`turnstream interactive`: correct what the assistant understands and does while talking to it, and keep that."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from turnstream.assistant.problems import Problems, ProjectError
from turnstream.assistant.project import Project
from turnstream.assistant.reader import ProjectPaths, read_into
from turnstream.authoring.amending import NotAmendable
from turnstream.authoring.learned import Learned, Places, save
from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples
from turnstream.cli.lifetime import serve_until_stopped
from turnstream.cli.lines import Lines
from turnstream.cli.options import (
    DEFAULT_MODELS,
    FILE,
    LogChoice,
    existing_endpoints,
    log_options,
    project_paths,
    read_settings,
)
from turnstream.cli.placement import Assistant
from turnstream.cli.serving import load_assistant
from turnstream.cli.summary import refusal
from turnstream.runtime.settings import Settings

if TYPE_CHECKING:
    from turnstream.cli.teaching import Answers

HELP = """\
Say something, and confirm or correct what is understood and what follows:
  Enter or y: right    n: wrong, say what is right    u: take the message back    q: end
At 'you >': /undo takes the latest message back, /new begins another conversation, /stop ends and saves."""


@click.command(epilog=examples("turnstream interactive", "turnstream interactive --stories data/learned.yml"))
@click.option("-m", "--model", type=FILE, default=DEFAULT_MODELS, show_default=True, help="Bundle, or folder of them.")
@click.option("--endpoints", type=FILE, help="Where other servers are.  [default: endpoints.yml]")
@click.option("--stories", type=FILE, default="data/stories.yml", show_default=True, help="File to add stories to.")
@click.option("-u", "--nlu", type=FILE, default="data/nlu.yml", show_default=True, help="File to add examples to.")
@click.option("-d", "--domain", type=FILE, help="Domain file to add new names to.  [default: domain.yml]")
@log_options
def interactive(
    model: Path, endpoints: Path | None, stories: Path, nlu: Path, domain: Path | None, log: LogChoice
) -> None:
    """Talk to the trained assistant, correct it on the way, and save what it should have done."""
    paths = project_paths(None, None, ())
    places = Places(stories, nlu, domain or _domain_file(paths))
    project = _read(paths)
    with tempfile.TemporaryDirectory(prefix="turnstream-interactive-") as folder:
        log_file = str(Path(folder) / "turns.db")
        settings = read_settings(None, {"turn_log.path": log_file, "log.level": log.level_or("warning", None)})
        log.begin(settings.log)
        assistant = load_assistant(model, existing_endpoints(endpoints))
        serve_until_stopped(lambda _: _teach(assistant, settings, project, places))


def _domain_file(paths: ProjectPaths) -> Path:
    """A domain that is a folder gets a file of its own for what is new."""
    place = paths.domain[0]
    return place / "interactive.yml" if place.is_dir() else place


def _read(paths: ProjectPaths) -> Project:
    problems = Problems()
    project = read_into(paths, problems).project
    if problems.errors:
        raise CommandError(refusal(ProjectError(problems.errors)))
    return project


async def _teach(assistant: Assistant, settings: Settings, project: Project, places: Places) -> None:
    from turnstream.cli.asked import asked_assistant
    from turnstream.cli.teaching import Teacher

    click.echo("Loading the assistant.", err=True)
    async with asked_assistant(assistant, settings) as asked:
        lines = Lines()
        teacher = Teacher(asked, lines)
        click.echo(HELP)
        await teacher.talk()
        learned = Learned(responses=teacher.responses)
        for events in teacher.conversations:
            learned.add_conversation(events, project.domain, project.nlu.examples)
        for events in teacher.heard:
            learned.add_examples(events, project.domain, project.nlu.examples)
        learned.keep_said_responses()
        await offer(learned, places, project, lines)


async def offer(learned: Learned, places: Places, project: Project, answers: "Answers") -> None:
    """Save, if the author wants that. Raises CommandError."""
    if not learned.told:
        click.echo("There is nothing to save.")
        return
    answer = await answers.next(f"Save {learned.told}? [Y/n] ")
    if answer is None or answer.lower() not in ("", "y", "yes"):
        click.echo("Nothing was saved.")
        return
    try:
        changed = save(learned, places, project.stories)
    except NotAmendable as error:
        raise CommandError(f"Nothing was saved: the project's files cannot be added to, {error}.") from error
    except OSError as error:
        raise CommandError(f"{error.filename} cannot be written: {error.strerror}.") from error
    click.echo(f"Saved {learned.told} in {', '.join(map(str, changed))}. Next: turnstream train")
