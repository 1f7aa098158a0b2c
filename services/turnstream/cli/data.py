"""`turnstream data ...`: looking after training data."""

import click

from turnstream.cli.examples import examples
from turnstream.cli.groups import NearestGroup
from turnstream.cli.split import split
from turnstream.cli.validate import validate

_FIRST_WITH_RASA = "Only the format 3 of training data is read; bring files to it with 'rasa data {}' of Rasa 3 first."
ABSENT = {name: _FIRST_WITH_RASA.format(name) for name in ("convert", "migrate")}


@click.group(
    cls=NearestGroup,
    absent=ABSENT,
    epilog=examples("turnstream data validate", "turnstream data split nlu --training-fraction 0.8"),
)
def data() -> None:
    """Check and split training data."""


data.add_command(validate)
data.add_command(split)
