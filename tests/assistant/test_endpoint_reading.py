"""`action_endpoint` of endpoints.yml: what an author got wrong is told when the file is read."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.project_folder import ProjectFolder
from turnstream.assistant.config_reader import read_endpoints
from turnstream.assistant.problems import Problems, ProjectError
from turnstream.assistant.reader import load_endpoints
from turnstream.assistant.yaml_nodes import parse_yaml

Write = Callable[[dict[str, str | bytes]], ProjectFolder]


def problems_of(folder: Path, text: str) -> list[str]:
    file = folder / "endpoints.yml"
    file.write_text(f"action_endpoint:\n{text}", encoding="utf-8")
    try:
        load_endpoints(file)
    except ProjectError as error:
        return [str(p) for p in error.problems]
    return []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("  url: grpcs://host:1", "endpoints.yml:2: 'action_endpoint': the url begins with the unknown 'grpcs://'."),
        ("  timeout_s: soon", "endpoints.yml:2: 'action_endpoint': 'timeout_s' must be a positive number"),
        ("  timeouts_s: 5", "'timeouts_s' must be a mapping"),
        ("  timeouts_s: {action_x: 0}", "'timeouts_s' of 'action_x' must be a positive number of seconds, not 0"),
        ("  enable_selective_domain: 3", "'enable_selective_domain' must be true or false"),
    ],
)
def test_what_cannot_be_meant_is_an_error_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    (problem,) = problems_of(tmp_path, line)
    assert message in problem


@pytest.mark.parametrize(
    "text",
    [
        "  url: http://localhost:5055/webhook\n  enable_selective_domain: true",
        "  url: grpc://localhost:5055\n  cafile: ca.pem\n  timeouts_s: {action_x: 2.5}",
        "  actions_module: actions",
    ],
)
def test_what_is_documented_is_accepted(tmp_path: Path, text: str) -> None:
    assert problems_of(tmp_path, text) == []


def test_an_address_without_a_scheme_is_told(write_project: Write) -> None:
    project = write_project({"endpoints.yml": "action_endpoint:\n  url: localhost:5055/webhook\n"})

    assert [str(warning) for warning in project.load().warnings] == [
        "endpoints.yml:2: 'action_endpoint': the url 'localhost:5055/webhook' has no scheme, so that no action can be "
        "called. Write 'http://localhost:5055/webhook'."
    ]


def test_a_version_of_the_endpoints_says_nothing() -> None:
    problems = Problems()
    root = parse_yaml(b'version: "3.1"\nlog_store: {url: x}\n', "endpoints.yml", problems, {})
    assert root is not None

    read_endpoints(root, problems, is_served=True)

    assert [str(warning).split(". ")[0] for warning in problems.warnings] == [
        "endpoints.yml:2: Unknown section 'log_store' in the endpoints"
    ]


FROM_THE_ENVIRONMENT = """\
action_endpoint: {url: "${HERE_OR_THERE}/webhook"}
nlg:
  url: ${NOBODY_SETS_THIS}
  timeout_s: ${NOR_THIS}
event_broker:
  url: ${NOR_THAT}
"""


def test_a_machine_that_trains_needs_no_variables_of_the_endpoints(write_project: Write) -> None:
    assert write_project({"endpoints.yml": FROM_THE_ENVIRONMENT}).load().warnings == ()


def test_the_variables_of_the_sections_that_are_used_must_be_set_to_serve(tmp_path: Path) -> None:
    file = tmp_path / "endpoints.yml"
    file.write_text(FROM_THE_ENVIRONMENT, encoding="utf-8")

    with pytest.raises(ProjectError) as refused:
        load_endpoints(file)

    assert [str(problem) for problem in refused.value.problems] == [
        "endpoints.yml:3: The environment variable 'NOBODY_SETS_THIS' is not set."
        " Set it, or quote '${NOBODY_SETS_THIS}'.",
        "endpoints.yml:4: The environment variable 'NOR_THIS' is not set. Set it, or quote '${NOR_THIS}'.",
    ]
