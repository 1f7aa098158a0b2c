"""`action_endpoint` of endpoints.yml: what an author got wrong is told when the file is read."""

from pathlib import Path

import pytest
from turnstream.assistant.problems import ProjectError
from turnstream.assistant.reader import load_endpoints


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
