"""`turnstream visualize`: stories and rules as a graph that a browser shows."""

from pathlib import Path

import click

from turnstream.assistant.problems import Problems, ProjectError
from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples
from turnstream.cli.options import FILE, NAME_OF_FILE, ManyValues, project_paths, without_missing_config


@click.command(
    cls=ManyValues,
    epilog=examples(
        "turnstream visualize --open", "turnstream visualize --stories data/stories.yml --no-rules --out stories.html"
    ),
)
@click.option("-d", "--domain", help="Domain file or folder.  [default: domain.yml, or the folder domain]")
@click.option(
    "-s",
    "--stories",
    "data",
    type=NAME_OF_FILE,
    multiple=True,
    help="Files or folders with stories and rules.  [default: data]",
)
@click.option("--out", type=FILE, default="graph.html", show_default=True, help="The page to write.")
@click.option(
    "--max-history",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Draw once what is the same after this many actions.",
)
@click.option("--no-rules", is_flag=True, help="Draw stories only.")
@click.option("--open", "opens", is_flag=True, help="Show the page in the browser.")
def visualize(
    domain: str | None, data: tuple[str, ...], out: Path, max_history: int, no_rules: bool, opens: bool
) -> None:
    """Draw stories and rules as a graph, into one HTML file that needs nothing else."""
    from turnstream.assistant.reader import read_into
    from turnstream.authoring.story_chart import story_chart
    from turnstream.cli.summary import refusal

    problems = Problems()
    project = read_into(without_missing_config(project_paths(None, domain, data)), problems).project
    try:
        problems.raise_if_any()
        chart = story_chart(project.stories, () if no_rules else project.rules, project.domain, max_history)
    except ProjectError as error:
        raise CommandError(refusal(error)) from error
    if not chart.edges:
        raise CommandError("There is nothing to draw: no stories" + (" and no rules." if not no_rules else "."))
    try:
        from turnstream.authoring.chart_html import chart_html
    except ModuleNotFoundError as error:
        raise CommandError("grandalf is not installed: pip install 'turnstream[reports]'.") from error
    try:
        out.write_text(chart_html(chart, f"Stories of {Path().resolve().name}"), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--out: {out} cannot be written: {error.strerror}.") from error
    click.echo(f"{out}: {len(chart.nodes)} nodes, {len(chart.edges)} edges")
    if opens:
        click.launch(str(out.resolve()))
