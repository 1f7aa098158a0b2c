"""`turnstream interactive` as a process, with its answers from a file, as a script would give them."""

from pathlib import Path

import yaml
from support.commands import Finished, turnstream
from turnstream.assistant.reader import ProjectPaths
from turnstream.authoring.validation import examine

RIGHT, WRONG = "", "n"


def teach(project: Path, *answers: str) -> Finished:
    done = turnstream("interactive", cwd=project, stdin="".join(f"{answer}\n" for answer in answers))
    assert "Traceback" not in done.errors
    return done


def read(project: Path, name: str) -> dict[str, list[dict[str, object]]]:
    content: dict[str, list[dict[str, object]]] = yaml.safe_load((project / name).read_text(encoding="utf-8"))
    return content


def test_what_is_confirmed_and_corrected_is_saved_and_the_project_is_in_order(project: Path) -> None:
    first = ("hello", RIGHT, RIGHT, RIGHT)
    hear = ("the usual for Ada", WRONG, "order", "order", "the usual for [Ada](person)")
    act = (WRONG, "utter_usual", "utter_usual", "Here it is.", WRONG, "action_listen")
    done = teach(project, *first, *hear, *act, "/stop", "y")
    assert (done.code, done.output.splitlines()[3:7]) == (
        0,
        [
            "  understood: greet (1.00)  hello",
            "  next: utter_greet (1.00) by RulePolicy",
            "bot > Hello, I am small.",
            "  next: action_listen (1.00) by RulePolicy",
        ],
    )
    assert "bot > Here it is." in done.output
    assert done.output.splitlines()[-1] == (
        "Saved 1 story, 1 example, 3 additions to the domain in data/stories.yml, data/nlu.yml, domain.yml. "
        "Next: turnstream train"
    )
    domain = read(project, "domain.yml")
    assert domain["intents"] == ["greet", "count", "wait", "order"]
    assert domain["entities"] == ["person"]
    assert domain["responses"]["utter_usual"] == [{"text": "Here it is."}]  # type: ignore[call-overload]
    assert read(project, "data/nlu.yml")["nlu"][-1] == {
        "intent": "order",
        "examples": "- the usual for [Ada](person)\n",
    }
    assert read(project, "data/stories.yml")["stories"] == [
        {
            "story": "interactive_story_1",
            "steps": [
                {"intent": "greet"},
                {"action": "utter_greet"},
                {"intent": "order", "entities": [{"person": "Ada"}]},
                {"action": "utter_usual"},
            ],
        }
    ]
    assert examine(ProjectPaths.default(project)).errors == ()
