"""`turnstream data ...`: looking after training data."""

import click

from turnstream.cli.examples import examples
from turnstream.cli.groups import NearestGroup
from turnstream.cli.split import split
from turnstream.cli.validate import validate


@click.group(
    cls=NearestGroup, epilog=examples("turnstream data validate", "turnstream data split nlu --training-fraction 0.8")
)
def data() -> None:
    """Check and split training data."""


data.add_command(validate)
data.add_command(split)
