"""`turnstream data validate`: what is wrong in a project's files, before anything is trained."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from turnstream.assistant.problems import Problem, ProjectError
from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples
from turnstream.cli.options import (
    LogChoice,
    ManyValues,
    ManyValuesGroup,
    log_options,
    project_options,
    project_paths,
    without_missing_config,
)
from turnstream.runtime.settings import LogSettings

if TYPE_CHECKING:
    from turnstream.authoring.validation import Findings


def _report_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Write what was found as JSON."),
        click.option(
            "--max-history",
            type=click.IntRange(min=1),
            help="Turns by which stories are compared.  [default: as many as the config's policies look at]",
        ),
        click.option("--fail-on-warnings", is_flag=True, help="Exit with 1 on warnings too."),
    ):
        command = option(command)
    return command


@click.group(
    cls=ManyValuesGroup,
    invoke_without_command=True,
    epilog=examples("turnstream data validate", "turnstream data validate --fail-on-warnings --json"),
)
@project_options
@_report_options
@log_options
@click.pass_context
def validate(
    context: click.Context,
    config: Path | None,
    domain: str | None,
    data: tuple[str, ...],
    fail_on_warnings: bool,
    max_history: int | None,
    as_json: bool,
    log: LogChoice,
) -> None:
    """Check domain, NLU data, stories, rules and config against each other."""
    if context.invoked_subcommand is not None:
        return
    log.begin(LogSettings(level=log.level or "warning"))
    from turnstream.authoring.validation import examine

    _tell(examine(project_paths(config, domain, data), max_history), fail_on_warnings, as_json)


@validate.command(cls=ManyValues, epilog=examples("turnstream data validate stories --max-history 5"))
@project_options
@_report_options
@log_options
def stories(
    config: Path | None,
    domain: str | None,
    data: tuple[str, ...],
    fail_on_warnings: bool,
    max_history: int | None,
    as_json: bool,
    log: LogChoice,
) -> None:
    """Only whether stories go on differently after the same turns."""
    log.begin(LogSettings(level=log.level or "warning"))
    from turnstream.authoring.validation import Findings, examine_stories

    try:
        found = examine_stories(without_missing_config(project_paths(config, domain, data)), max_history)
    except ProjectError as error:
        found = Findings(error.problems, ())
    _tell(found, fail_on_warnings, as_json)


def _tell(found: "Findings", fail_on_warnings: bool, as_json: bool) -> None:
    """Raises CommandError where the command is to fail."""
    from turnstream.cli.summary import refusal

    if as_json:
        content = {"errors": _json(found.errors), "warnings": _json(found.warnings)}
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        if found.errors or (found.warnings and fail_on_warnings):
            raise click.exceptions.Exit(1)
        return
    for warning in found.warnings:
        click.echo(f"warning: {warning}")
    if found.errors:
        raise CommandError(refusal(ProjectError(found.errors)))
    counted = f"{len(found.warnings)} warning{'s' * (len(found.warnings) != 1)}"
    if found.warnings and fail_on_warnings:
        raise CommandError(f"No errors, {counted}, and --fail-on-warnings was given.")
    click.echo(f"No errors, {counted}.")


def _json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    return [{"file": p.location.file, "line": p.location.line, "message": p.message, "hint": p.hint} for p in problems]
