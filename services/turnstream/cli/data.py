"""`turnstream data ...`: looking after training data."""

import click

from turnstream.cli.split import split
from turnstream.cli.validate import validate


@click.group()
def data() -> None:
    """Check and split training data."""


data.add_command(validate)
data.add_command(split)
