"""`turnstream test`: how well a trained assistant understands its data, and passes its test stories."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from turnstream.assistant.files import is_test_file
from turnstream.assistant.nlu_data import Example
from turnstream.assistant.problems import Problems, ProjectError
from turnstream.assistant.project import Project
from turnstream.assistant.reader import ProjectPaths, read_into, read_test_stories
from turnstream.assistant.stories import TestStory
from turnstream.cli.asked import asked_assistant
from turnstream.cli.errors import CommandError, missing
from turnstream.cli.examining import Subject
from turnstream.cli.examples import examples
from turnstream.cli.options import (
    DEFAULT_MODELS,
    FILE,
    LogChoice,
    ManyValues,
    ManyValuesGroup,
    data_option,
    domain_option,
    log_options,
    project_paths,
    read_settings,
)
from turnstream.cli.serving import load_assistant
from turnstream.cli.summary import refusal, terminal
from turnstream.evaluation.cross_validation import stratified_folds
from turnstream.evaluation.dialogues import DialogueReports, DialogueResult
from turnstream.evaluation.dialogues import reports as dialogue_reports
from turnstream.evaluation.files import ReportWriter
from turnstream.evaluation.labels import LabelReport
from turnstream.evaluation.nlu import NluReports, Understood
from turnstream.evaluation.nlu import reports as nlu_reports
from turnstream.evaluation.plots import Plots


@dataclass(frozen=True, slots=True)
class Output:
    """Where reports go and what is in them."""

    folder: Path
    plots: bool
    errors: bool
    successes: bool

    def writer(self, folder: Path | None = None) -> ReportWriter:
        plots = Plots() if self.plots and Plots.are_possible() else None
        return ReportWriter(folder or self.folder, plots=plots, errors=self.errors, successes=self.successes)


def _output_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--out", type=FILE, default="results", show_default=True, help="Folder for the reports."),
        click.option("--no-plot", is_flag=True, help="Draw no confusion matrices and histograms."),
        click.option("--no-errors", is_flag=True, help="Do not write what was wrong."),
        click.option("--successes", is_flag=True, help="Write what was right as well."),
    ):
        command = option(command)
    return command


_model_option = click.option(
    "-m", "--model", type=FILE, default=DEFAULT_MODELS, show_default=True, help="Bundle, or folder of them."
)
_nlu_option = click.option("-u", "--nlu", "nlu_data", type=FILE, help="NLU data to test on.  [default: data]")
_stories_option = click.option("-s", "--stories", type=FILE, help="Test stories.  [default: tests]")
_fail_option = click.option("--fail-on-prediction-errors", is_flag=True, help="Exit with 1 where a test story fails.")


@click.group(
    cls=ManyValuesGroup,
    invoke_without_command=True,
    absent={"e2e": "Write 'turnstream test core --e2e'."},
    epilog=examples("turnstream test", "turnstream test --stories tests/test_stories.yml --fail-on-prediction-errors"),
)
@_model_option
@_nlu_option
@_stories_option
@_output_options
@_fail_option
@log_options
@click.pass_context
def test(
    context: click.Context,
    model: Path,
    nlu_data: Path | None,
    stories: Path | None,
    out: Path,
    no_plot: bool,
    no_errors: bool,
    successes: bool,
    fail_on_prediction_errors: bool,
    log: LogChoice,
) -> None:
    """Test the trained assistant on its test stories and NLU data; reports go to a folder."""
    if context.invoked_subcommand is not None:
        return
    output = Output(out, not no_plot, not no_errors, successes)
    paths = _paths(nlu_data, stories)
    failed = _run(model, paths, output, log, nlu=True, core=True)
    _end(failed if fail_on_prediction_errors else 0)


@test.command(epilog=examples("turnstream test core --e2e --fail-on-prediction-errors"))
@_model_option
@_stories_option
@click.option("-e", "--e2e", "--end-to-end", is_flag=True, help="Understand the messages too.")
@_output_options
@_fail_option
@log_options
def core(
    model: Path,
    stories: Path | None,
    e2e: bool,
    out: Path,
    no_plot: bool,
    no_errors: bool,
    successes: bool,
    fail_on_prediction_errors: bool,
    log: LogChoice,
) -> None:
    """Test stories only; without --e2e each message is taken as what the story says it is."""
    output = Output(out, not no_plot, not no_errors, successes)
    failed = _run(model, _paths(None, stories), output, log, nlu=False, core=True, end_to_end=e2e)
    _end(failed if fail_on_prediction_errors else 0)


@test.command(
    cls=ManyValues,
    epilog=examples(
        "turnstream test nlu --nlu data/nlu.yml",
        "turnstream test nlu --cross-validation --folds 3",
        "turnstream test nlu --config config.yml other.yml",
    ),
)
@_model_option
@_nlu_option
@click.option(
    *("-c", "--config", "configs"),
    type=FILE,
    multiple=True,
    help="Model configuration for cross-validation; several are compared.  [default: config.yml]",
)
@domain_option
@data_option
@_output_options
@click.option("--cross-validation", is_flag=True, help="Train on parts of the data, test on the others.")
@click.option("-f", "--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Parts of the data.")
@log_options
def nlu(
    model: Path,
    nlu_data: Path | None,
    configs: tuple[Path, ...],
    domain: str | None,
    data: tuple[str, ...],
    out: Path,
    no_plot: bool,
    no_errors: bool,
    successes: bool,
    cross_validation: bool,
    folds: int,
    log: LogChoice,
) -> None:
    """NLU data only."""
    output = Output(out, not no_plot, not no_errors, successes)
    if not cross_validation and len(configs) < 2:
        _run(model, _paths(nlu_data, None), output, log, nlu=True, core=False)
        return
    given = (str(nlu_data),) if nlu_data else data
    projects = [project_paths(config, domain, given) for config in configs or (None,)]
    if len(projects) > 1:
        _compare(projects, folds, output, log)
    else:
        _cross_validate(projects[0], folds, output, log)
        _print_place(terminal(), output)


def _end(failed: int) -> None:
    if failed:
        raise CommandError(f"{failed} of the test stories failed.")


def _paths(nlu_data: Path | None, stories: Path | None) -> ProjectPaths:
    """The project of the current folder, with other data to test on. Raises CommandError."""
    for given in (nlu_data, stories):
        if given is not None and not given.exists():
            raise missing(given)
    paths = ProjectPaths.default(Path())
    if nlu_data is not None:
        paths = replace(paths, data=(nlu_data,))
    return paths if stories is None else replace(paths, tests=(stories,))


def _read(paths: ProjectPaths, *, core: bool) -> Project:
    """Only what is there: a test needs the data and the bundle, not the whole project. Raises CommandError.

    A test file that cannot be read only warns elsewhere; here its stories would silently not be tested.
    """
    problems = Problems()
    there = replace(
        paths,
        config=None,
        domain=tuple(p for p in paths.domain if p.exists()),
        data=tuple(p for p in paths.data if p.exists()),
        endpoints=None,
        tests=(),
    )
    project = read_into(there, problems).project
    if core:
        given = [path for path in paths.tests if path.is_file() and not is_test_file(path)]
        tests = (*read_test_stories(paths.root, paths.tests, problems), *_as_tests(given, paths, problems))
        project = replace(project, tests=(*project.tests, *tests))
    if problems.errors:
        raise CommandError(refusal(ProjectError(problems.errors)))
    return project


def _as_tests(files: list[Path], paths: ProjectPaths, problems: Problems) -> tuple[TestStory, ...]:
    """Stories of files that were named, whatever their names are."""
    if not files:
        return ()
    stories = read_into(replace(paths, config=None, domain=(), data=tuple(files), tests=()), problems).project.stories
    return tuple(TestStory(story.name, story.steps, story.location) for story in stories)


def _run(
    model: Path,
    paths: ProjectPaths,
    output: Output,
    log: LogChoice,
    *,
    nlu: bool,
    core: bool,
    end_to_end: bool = True,
) -> int:
    """How many test stories failed. Raises CommandError."""
    project = _read(paths, core=core)
    examples = tuple(e for e in project.nlu.distinct.examples if e.intent) if nlu else ()
    tests = project.tests if core else ()
    if not examples and not tests:
        raise CommandError(
            "There is nothing to test: no NLU examples, and no test stories (tests/test_*.yml). "
            "Write some, or name files with --stories and --nlu."
        )
    console = terminal()
    failed = 0

    async def run(subject: Subject) -> None:
        nonlocal failed
        writer = output.writer()
        if tests:
            reports = await _play(subject, tests, console, end_to_end)
            writer.write_dialogues(reports)
            _print_dialogues(console, reports)
            failed = len(reports.results) - reports.right
        if examples:
            understood = await _understand(subject, examples, console)
            found = nlu_reports(understood, subject.extractors)
            writer.write_nlu(found)
            _print_nlu(console, found)

    _with_subject(model, log, run)
    _print_place(console, output)
    return failed


def _compare(projects: Sequence[ProjectPaths], folds: int, output: Output, log: LogChoice) -> None:
    """The same data by several configs, each with reports in a folder of its own. Raises CommandError."""
    by_name = {paths.config.stem: paths for paths in projects if paths.config is not None}
    if len(by_name) < len(projects):
        raise CommandError("Two of the configs have the same name, and reports are named after them. Rename one.")
    console, found = terminal(), {}
    for name, paths in by_name.items():
        console.print(f"Config {paths.config}", markup=False)
        found[name] = _f1(_cross_validate(paths, folds, replace(output, folder=output.folder / name), log))
    _print_comparison(console, found)
    _print_place(console, output)


def _f1(found: NluReports) -> dict[str, float]:
    """By what is reported: intents and responses weighted, entities micro by token."""
    whole = {"intents": found.intents, "responses": found.responses}
    entities = {extractor: report.micro.f1 for extractor, report in found.entities.items()}
    return {name: report.weighted.f1 for name, report in whole.items() if report is not None} | entities


def _print_comparison(console: Console, found: Mapping[str, Mapping[str, float]]) -> None:
    columns = list(dict.fromkeys(column for figures in found.values() for column in figures))
    table = Table("config", title="F1", title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    for name, figures in found.items():
        table.add_row(name, *(f"{figures[column]:.3f}" if column in figures else "" for column in columns))
    console.print(table)


def _cross_validate(paths: ProjectPaths, folds: int, output: Output, log: LogChoice) -> NluReports:
    """Raises CommandError."""
    from turnstream.cli.cross_validation import trained_fold

    project = _read(paths, core=False)
    parts = stratified_folds(project.nlu.distinct.examples, folds)
    console = terminal()
    understood: list[Understood] = []
    extractors: tuple[str, ...] = ()
    for number, held_out in enumerate(parts, 1):
        learned = [example for part in parts if part is not held_out for example in part]
        console.print(f"Part {number} of {folds}: {len(learned)} examples to learn, {len(held_out)} to test")
        with trained_fold(paths, replace(project.nlu, examples=tuple(learned))) as bundle:

            async def run(subject: Subject, examples: tuple[Example, ...] = tuple(held_out)) -> None:
                nonlocal extractors
                understood.extend(await _understand(subject, examples, console))
                extractors = subject.extractors

            _with_subject(bundle, log, run)
    found = nlu_reports(understood, extractors)
    output.writer().write_nlu(found)
    _print_nlu(console, found)
    return found


async def _understand(subject: Subject, examples: Sequence[Example], console: Console) -> tuple[Understood, ...]:
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("messages", total=len(examples))
        return await subject.understand(examples, lambda done: progress.update(task, completed=done))


async def _play(subject: Subject, tests: Sequence[TestStory], console: Console, end_to_end: bool) -> DialogueReports:
    results: list[DialogueResult] = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for test in progress.track(tests, description="stories"):
            results += await subject.play(test, end_to_end=end_to_end)
    return dialogue_reports(results)


def _with_subject(model: Path, log: LogChoice, run: Callable[[Subject], Coroutine[None, None, None]]) -> None:
    with tempfile.TemporaryDirectory(prefix="turnstream-test-") as folder:
        path = Path(folder) / "turns.db"
        settings = read_settings(None, {"turn_log.path": str(path), "log.level": log.level_or("warning", None)})
        log.begin(settings.log)

        async def serve() -> None:
            async with asked_assistant(load_assistant(model, None), settings) as asked:
                await run(Subject(asked))

        asyncio.run(serve())


def _print_nlu(console: Console, found: NluReports) -> None:
    table = Table(title="Understanding", title_justify="left")
    for column in ("", "examples", "accuracy", "precision", "recall", "F1"):
        table.add_column(column, justify="left" if not column else "right")
    if found.intents is not None:
        _add_row(table, "intents (weighted)", found.intents, found.intents.weighted.support)
    if found.responses is not None:
        _add_row(table, "responses (weighted)", found.responses, found.responses.weighted.support)
    for extractor, report in found.entities.items():
        micro = report.micro
        figures = (f"{value:.3f}" for value in (micro.precision, micro.recall, micro.f1))
        table.add_row(f"entities of {extractor} (micro, by token)", str(micro.support), "", *figures)
    console.print(table)


def _add_row(table: Table, name: str, report: LabelReport, count: int) -> None:
    mean = report.weighted
    figures = (f"{value:.3f}" for value in (report.accuracy, mean.precision, mean.recall, mean.f1))
    table.add_row(name, str(count), *figures)


def _print_dialogues(console: Console, reports: DialogueReports) -> None:
    console.print(f"Test stories: {reports.right} of {len(reports.results)} passed", end="")
    console.print(f", {reports.with_warnings} with warnings." if reports.with_warnings else ".")
    if reports.actions is not None:
        console.print(
            f"Actions: accuracy {reports.actions.accuracy:.3f}, weighted F1 {reports.actions.weighted.f1:.3f}"
        )
    for result in reports.results:
        if not result.is_right:
            told = f"{result.story.name} ({result.story.location}): {result.wrong[0].told}"
            console.print(f"  failed: {told}", markup=False)


def _print_place(console: Console, output: Output) -> None:
    console.print(f"Reports are in {output.folder}")
    if output.plots and not Plots.are_possible():
        console.print("No pictures: matplotlib is not installed (pip install 'turnstream[reports]').")
