"""Teaching an assistant in this process: its author's answers are written out."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.order_project import OrderProject
from turnstream.assistant.bundle import open_bundle
from turnstream.assistant.config import Endpoints
from turnstream.assistant.reader import ProjectPaths, read_project
from turnstream.authoring.learned import Learned, Places, training_steps
from turnstream.cli.asked import asked_assistant
from turnstream.cli.errors import CommandError
from turnstream.cli.interactive import offer
from turnstream.cli.placement import Assistant
from turnstream.cli.teaching import Teacher
from turnstream.runtime.settings import load_settings
from turnstream.testing.harness import train_quietly
from turnstream.training.train import TrainingRequest

RIGHT, WRONG, UNDO = "", "n", "u"
GREETED = ("hello", RIGHT, RIGHT, RIGHT)


class Script:
    """Answers one question after the other, and remembers them."""

    def __init__(self, answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def next(self, prompt: str) -> str | None:
        self.asked.append(prompt)
        return self._answers.pop(0) if self._answers else None


class Taught:
    """What came of it: the stories' steps in a word each, and what was printed."""

    def __init__(self, bundle: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._assistant = Assistant(open_bundle(bundle), Endpoints())
        self._settings = load_settings(environment={}, overrides={"turn_log.path": str(log)})
        self._capsys = capsys
        self.output = ""
        self.responses: dict[str, str] = {}
        self.learned = Learned()

    async def __call__(self, *answers: str) -> list[list[str]]:
        async with asked_assistant(self._assistant, self._settings) as asked:
            teacher = Teacher(asked, Script(answers))
            await teacher.talk()
        self.output = self._capsys.readouterr().out
        self.responses = teacher.responses
        self.learned = Learned(responses=teacher.responses)
        for events in teacher.heard:
            self.learned.add_examples(events, asked.bundle.domain, ())
        domain = asked.bundle.domain
        return [[str(next(iter(s.values()))) for s in training_steps(c, domain)] for c in teacher.conversations]


@pytest.fixture
def teach(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Taught:
    return Taught(trained / "models" / "first", tmp_path / "turns.db", capsys)


async def test_choices_are_numbered_and_a_slip_is_told(teach: Taught) -> None:
    stories = await teach("hi", WRONG, "gret", "2", "hi [there", "", RIGHT, RIGHT, RIGHT, RIGHT)
    assert "    1: greet (1.00)\n    2: count\n    3: wait\n" in teach.output
    assert "There is no intent 'gret' yet. Did you mean 'greet'?" in teach.output
    assert "that is another text: hi [there" in teach.output
    assert stories == [["count", "action_count", "utter_done"]]


async def test_enter_keeps_the_intent_where_only_the_entities_are_wrong(teach: Taught) -> None:
    stories = await teach("hello", WRONG, "", "[hello](word)", RIGHT, RIGHT)
    assert stories == [["greet", "utter_greet"]]
    assert await teach("hello", RIGHT, WRONG, "", RIGHT) == [["greet", "utter_greet"]]


async def test_message_is_taken_back_in_its_turn(teach: Taught) -> None:
    stories = await teach("hello", RIGHT, UNDO, "hello", UNDO, "add one", RIGHT, RIGHT, RIGHT, RIGHT)
    assert teach.output.count("Taken back.") == 2
    assert stories == [["count", "action_count", "utter_done"]]


async def test_the_commands_are_understood_in_the_middle_of_a_turn_and_anything_else_is_explained(
    teach: Taught,
) -> None:
    assert await teach(*GREETED, "hello", "what?", "/undo", "hello", "/stop") == [["greet", "utter_greet"]]
    assert "Taken back." in teach.output
    assert teach.output.count("Enter: right, n: wrong, u: take the message back, q: end") == 1


async def test_message_is_taken_back_after_its_turn(teach: Taught) -> None:
    assert await teach(*GREETED, "hi", RIGHT, RIGHT, RIGHT, "/undo", "/stop") == [["greet", "utter_greet"]]
    assert await teach(*GREETED, "/undo", "/undo", "/stop") == []
    assert "There is no message to take back." in teach.output


async def test_each_conversation_is_a_story_and_an_unfinished_turn_is_left_out(teach: Taught) -> None:
    stories = await teach(*GREETED, "/new", *GREETED, *GREETED, "hello", RIGHT, "q")
    assert stories == [["greet", "utter_greet"], ["greet", "utter_greet"] * 2]


async def test_new_response_that_is_taken_back_is_not_kept(teach: Taught) -> None:
    new = ("hello", RIGHT, WRONG, "utter_x", "utter_x", "X!")
    assert await teach(*new, UNDO, "/stop") == []
    assert teach.responses == {}
    assert await teach(*new, WRONG, "action_listen", "/stop") == [["greet", "utter_x"]]
    assert teach.responses == {"utter_x": "X!"}


async def test_message_by_its_intent_needs_no_confirmation(teach: Taught) -> None:
    assert await teach("/greet", RIGHT, RIGHT, "/stop") == [["greet", "utter_greet"]]


async def test_action_that_fails_is_told_and_the_conversation_goes_on(teach: Taught) -> None:
    stories = await teach("count", RIGHT, RIGHT, RIGHT, RIGHT, "/stop")
    assert "! action_count: " in teach.output
    assert stories == [["count", "action_count", "utter_done"]]


async def test_form_is_filled_in_and_left_for_a_moment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = OrderProject(tmp_path)
    project.change("data/data.yml", "rules:\n", "  - lookup: dish\n    examples: |\n      - soup\nrules:\n")
    request = TrainingRequest(ProjectPaths.default(tmp_path), tmp_path / "models", "first")
    await asyncio.to_thread(train_quietly, request)
    teach = Taught(tmp_path / "models" / "first", tmp_path / "turns.db", capsys)
    begin, leave, fill = ["order something", *[RIGHT] * 3], ["hello", *[RIGHT] * 5], ["I want soup", *[RIGHT] * 4]
    stories = await teach(*begin, *leave, *fill, "/stop")
    assert stories == [
        ["order", "order_form", "order_form", "greet", "utter_greet", "order_form", "None", "utter_ordered"]
    ]
    assert "order_form refused: something else is to follow" in teach.output
    assert "slot: dish = 'soup'" in teach.output
    assert teach.learned.examples["order"] == ["order something", "I want [soup](dish)"]


@pytest.mark.parametrize("answers", [[], ["n"], ["later"]])
async def test_nothing_is_saved_unless_the_author_says_so(
    answers: list[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = Places(project / "data" / "stories.yml", project / "data" / "nlu.yml", project / "domain.yml")
    learned = Learned(stories=[[{"intent": "greet"}]], intents={"new": None})
    before = {path: path.read_text() for path in (places.nlu, places.domain)}
    await offer(learned, places, read_project(ProjectPaths.default(project)).project, Script(answers))
    assert capsys.readouterr().out == "Nothing was saved.\n"
    assert {path: path.read_text() for path in before} == before
    assert not places.stories.exists()


async def test_files_that_cannot_be_added_to_are_all_left_alone(project: Path) -> None:
    places = Places(project / "data" / "stories.yml", project / "data" / "nlu.yml", project / "domain.yml")
    project_read = read_project(ProjectPaths.default(project)).project
    places.domain.write_text("{intents: [greet]}\n")
    learned = Learned(stories=[[{"intent": "greet"}]], intents={"new": None})
    with pytest.raises(CommandError, match="Nothing was saved"):
        await offer(learned, places, project_read, Script(["y"]))
    assert not places.stories.exists()
    assert places.domain.read_text() == "{intents: [greet]}\n"
