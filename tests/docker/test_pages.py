"""Each command about containers and clusters on a page that is not followed whole is run by a test, in its own way."""

import re
from collections.abc import Iterator

import pytest
from support.containers import ROOT

PAGES = ("images", "operations", "sizing")
COMMAND = re.compile(r"^ {4}(?P<command>(?:make|docker|kubectl|helm|curl|turnstream|\.venv/bin/python) .+)$")
SYSTEM = "tests/containers/test_system.py"
STARTED = f"{SYSTEM}::test_a_conversation_through_the_published_gateway"
ROLLED = f"{SYSTEM}::test_a_bundle_is_rolled_out_to_a_share_and_then_to_all"
RUN_BY = {
    "make images": "scripts/container_tests.py::run_tests",
    ".venv/bin/python scripts/images.py actions": "scripts/container_tests.py::run_tests",
    ".venv/bin/python scripts/images.py service trainer actions kafka": "scripts/container_tests.py::run_tests",
    "docker compose -f docker/compose.yaml up": STARTED,
    "docker compose -f docker/compose.yaml -f docker/compose.local.yaml up": STARTED,
    """curl -d '{"sender": "ada", "message": "hello there"}' http://127.0.0.1:5005/webhooks/rest/webhook""": STARTED,
    "docker compose ... run --rm trainer rollout canary VERSION --share 0.1 --bundles /bundles": ROLLED,
    "docker compose ... run --rm trainer rollout stable VERSION --bundles /bundles": ROLLED,
    "turnstream health --address 127.0.0.1:9465 --service ready": (
        "tests/cli/test_health.py::test_alive_and_ready_are_asked_by_name"
    ),
    'kubectl exec POD -- python -c "import os, signal; os.kill(1, signal.SIGUSR2)"': (
        "tests/cluster/test_deploy_page.py::test_more_detail_of_a_pod"
    ),
    "make fuzz SECONDS=60": "fuzz/__main__.py::everything",
}
"""What runs it, as file and function."""


def commands(page: str) -> Iterator[str]:
    for line in (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").splitlines():
        if found := COMMAND.match(line):
            yield found["command"]


def test_every_command_of_these_pages_is_run_by_something() -> None:
    assert {command for page in PAGES for command in commands(page)} == RUN_BY.keys()


@pytest.mark.parametrize("place", sorted(set(RUN_BY.values())))
def test_what_runs_them_is_there(place: str) -> None:
    file, _, name = place.partition("::")
    assert re.search(rf"^(?:async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
