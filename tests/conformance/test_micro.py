"""Every tiny golden project, trained and talked to over REST, agrees with its record in every field.

`DIFFERS` lists those that do not, each with the reason; it may only shrink, and an entry that agrees fails.
"""

from pathlib import Path

import pytest
from support.action_servers import ActionServers
from support.conformance import GOLDEN, Agreement, compare, micro_projects

DIFFERS = {
    "policies/circuit-breaker-at-ten": "After the limit on actions the next message works again; in Rasa nothing does.",
    "policies/core-fallback-custom-action-loops": "As above, for a core fallback action that never listens.",
    "surface/act-malformed-events": "Only the unusable event is lost, and is reported; in Rasa all of the turn are.",
}


PAUSED_ATTEMPTS = 3


async def agreement_of(project: str, folder: Path, servers: ActionServers) -> Agreement:
    """A record with pauses is of sessions of a second: where this machine pauses as well, it is played once more."""
    has_pauses = '"sleep"' in (GOLDEN / "micro" / project / "conversations.json").read_text(encoding="utf-8")
    for attempt in range(PAUSED_ATTEMPTS if has_pauses else 1):
        agreement = await compare(project, folder / str(attempt), servers)
        if agreement.agrees:
            break
    return agreement


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("project", micro_projects())
async def test_a_tiny_project_agrees_with_its_record(project: str, tmp_path: Path, servers: ActionServers) -> None:
    agreement = await agreement_of(project, tmp_path, servers)
    if project in DIFFERS:
        assert not agreement.agrees, f"{project} agrees now: take it off the list"
    else:
        assert agreement.agrees, "\n".join(agreement.differences)
