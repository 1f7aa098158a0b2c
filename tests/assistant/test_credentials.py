"""`credentials.yml`: the environment variables of the channels that are opened must be set."""

from pathlib import Path

import pytest
from turnstream.assistant.credentials import load_credentials
from turnstream.assistant.problems import ProjectError

NOT_SET = "The environment variable 'NOBODY_SETS_THIS' is not set."


def test_a_channel_that_is_not_served_needs_no_variables(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yml"
    file.write_text("rest:\ntelegram:\n  access_token: ${NOBODY_SETS_THIS}\n", encoding="utf-8")

    read = load_credentials(file)

    assert [channel.name for channel in read.channels] == ["rest"]
    assert [str(warning).split(" Bridge")[0] for warning in read.warnings] == [
        "credentials.yml:2: The channel 'telegram' is not served."
    ]


def test_the_variables_of_a_channel_that_is_opened_must_be_set(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yml"
    file.write_text("callback:\n  url: ${NOBODY_SETS_THIS}/in\n", encoding="utf-8")

    with pytest.raises(ProjectError) as refused:
        load_credentials(file)

    assert [str(problem).split(" Set it")[0] for problem in refused.value.problems] == [f"credentials.yml:2: {NOT_SET}"]
