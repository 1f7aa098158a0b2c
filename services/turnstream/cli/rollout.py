"""`turnstream rollout ...`: which version serves whom."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from turnstream.assistant.bundle import BundleError, open_bundle
from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples
from turnstream.cli.groups import NearestGroup
from turnstream.cli.options import FILE, read_settings
from turnstream.runtime.rollout import Canary, PlanError, RolloutPlan, read_plan, write_plan
from turnstream.runtime.rollout_files import RolloutFiles, Wanted

F = TypeVar("F", bound=Callable[..., Any])


@click.group(
    cls=NearestGroup,
    epilog=examples(
        "turnstream rollout status",
        "turnstream rollout canary 20261123-090000 --share 0.1",
        "turnstream rollout stable 20261123-090000",
    ),
)
def rollout() -> None:
    """Say which bundle serves, and which is tried on a share of conversations first."""


def _options(command: F) -> F:
    for option in (
        click.option("--plan", type=FILE, help="The plan's file.  [default: rollout.yaml in the folder]"),
        click.option("--bundles", type=FILE, help="Folder of bundles.  [default: models]"),
    ):
        command = option(command)
    return command


def _files(bundles: Path | None, plan: Path | None) -> RolloutFiles:
    settings = read_settings(
        None, {"bundles.folder": str(bundles) if bundles else None, "bundles.plan": str(plan) if plan else None}
    ).bundles
    if not settings.folder and not settings.plan:
        settings = replace(settings, folder="models")
    found = RolloutFiles.of(settings)
    assert found is not None
    return found


@rollout.command(epilog=examples("turnstream rollout status --bundles /srv/bundles"))
@_options
def status(bundles: Path | None, plan: Path | None) -> None:
    """What folder and plan say; the exit code is 1 where something is wrong with them."""
    files = _files(bundles, plan)
    wanted = files.read()
    for line in _table(files, wanted):
        click.echo(line)
    if wanted.problems:
        raise CommandError("\n".join(wanted.problems))


def _table(files: RolloutFiles, wanted: Wanted) -> Iterator[str]:
    source = files.plan_file if files.plan_file.exists() else "no plan: the newest serves"
    yield f"plan     {source}"
    yield f"stable   {wanted.stable or 'none'}"
    if wanted.canary:
        yield f"canary   {wanted.canary.version}, {wanted.canary.share:.0%} of conversations"
    for version, path in reversed(tuple(wanted.bundles.items())):
        yield f"bundle   {version}  {path}"


@rollout.command(epilog=examples("turnstream rollout stable 20261123-090000 --bundles /srv/bundles"))
@click.argument("version")
@_options
def stable(version: str, bundles: Path | None, plan: Path | None) -> None:
    """Serve VERSION to all conversations; a canary is over."""
    files = _files(bundles, plan)
    _require_sound(files, version)
    _write(files, RolloutPlan(version))


@rollout.command(epilog=examples("turnstream rollout canary 20261123-090000 --share 0.1 --bundles /srv/bundles"))
@click.argument("version")
@click.option("--share", type=click.FloatRange(0, 1), required=True, help="Of conversations, 0 to 1.")
@_options
def canary(version: str, share: float, bundles: Path | None, plan: Path | None) -> None:
    """Serve VERSION to a share of conversations; the others stay where they are."""
    files = _files(bundles, plan)
    _require_sound(files, version)
    _write(files, RolloutPlan(_present(files, version), Canary(version, share)))


@rollout.command(epilog=examples("turnstream rollout back --bundles /srv/bundles"))
@_options
def back(bundles: Path | None, plan: Path | None) -> None:
    """Take the canary back: all conversations are served by the stable version."""
    files = _files(bundles, plan)
    _write(files, RolloutPlan(_present(files)))


def _present(files: RolloutFiles, canary: str = "") -> str:
    """The stable version of the plan; where there is none, the newest that is not the canary."""
    try:
        plan = read_plan(files.plan_file)
    except PlanError as error:
        raise CommandError(f"{error}. Write it anew with 'turnstream rollout stable VERSION'.") from error
    if plan is not None:
        return plan.stable
    others = [version for version in files.read().bundles if version != canary]
    if not others:
        raise CommandError("There is no version to stay with; say it with 'turnstream rollout stable VERSION'.")
    return others[-1]


def _require_sound(files: RolloutFiles, version: str) -> None:
    """Every file of it is checked here, before a service meets it."""
    found = files.read().bundles
    if version not in found:
        there_are = ", ".join(found) or "none"
        how = "'turnstream train' writes one, 'turnstream bundle install' copies one in."
        raise CommandError(f"There is no bundle {version}; there are: {there_are}. {how}")
    try:
        open_bundle(found[version])
    except BundleError as error:
        raise CommandError(f"{error}") from error


def _write(files: RolloutFiles, plan: RolloutPlan) -> None:
    try:
        write_plan(files.plan_file, plan)
    except OSError as error:
        raise CommandError(f"{files.plan_file} cannot be written: {error.strerror}.") from error
    tried = f", {plan.canary.version} for {plan.canary.share:.0%} of conversations" if plan.canary else ""
    click.echo(f"{files.plan_file}: {plan.stable or 'none'} serves{tried}")
