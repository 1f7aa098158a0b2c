"""NLU data, stories, rules and test stories."""

from collections.abc import Callable
from typing import Any

import pytest
from support.project_folder import ProjectFolder, dedented
from turnstream.assistant.annotations import parse_annotations
from turnstream.assistant.location import Location
from turnstream.assistant.nlu_data import EntityAnnotation, Example, NluData
from turnstream.assistant.problems import Problems, ProjectError
from turnstream.assistant.project import Project
from turnstream.assistant.reader import ProjectPaths, ReadResult, read_project
from turnstream.assistant.stories import (
    ActionStep,
    ActiveLoopStep,
    BotStep,
    CheckpointStep,
    OrStep,
    SlotStep,
    StoryEntity,
    UserStep,
)

Write = Callable[[dict[str, str | bytes]], ProjectFolder]
HERE = Location("x.yml", 1)


def read_data(project: ProjectFolder, text: str, name: str = "data.yml") -> ReadResult:
    project.write(name, dedented(text))
    return read_project(ProjectPaths(project.root, None, (), (project.root / name,)))


def nlu_of(project: ProjectFolder, text: str) -> NluData:
    return read_data(project, text).project.nlu


def project_of(project: ProjectFolder, text: str) -> Project:
    return read_data(project, text).project


def plain(steps: Any) -> list[Any]:
    """Steps without their locations."""
    found = []
    for step in steps:
        fields = {name: getattr(step, name) for name in step.__slots__ if name != "location"}
        if isinstance(step, OrStep):
            fields["alternatives"] = tuple(plain(step.alternatives))
        found.append(type(step)(**fields))
    return found


@pytest.mark.parametrize(
    ("text", "without", "entities"),
    [
        ("to [Berlin](city)", "to Berlin", [EntityAnnotation(3, 9, "city", "Berlin")]),
        ("[NYC](city:New York) now", "NYC now", [EntityAnnotation(0, 3, "city", "New York")]),
        (
            '[a]{"entity": "x", "role": "r", "group": "g", "value": "v"}',
            "a",
            [EntityAnnotation(0, 1, "x", "v", "r", "g")],
        ),
        (
            "from [A](x) to [B](y)!",
            "from A to B!",
            [EntityAnnotation(5, 6, "x", "A"), EntityAnnotation(10, 11, "y", "B")],
        ),
        (
            '[six]{"entity": "n"} [six][{"entity": "n"}, {"entity": "m"}]',
            "six six",
            [
                EntityAnnotation(0, 3, "n", "six"),
                EntityAnnotation(4, 7, "n", "six"),
                EntityAnnotation(4, 7, "m", "six"),
            ],
        ),
        ("no [markup] here (at all)", "no [markup] here (at all)", []),
        ("[🌞](sun) x", "🌞 x", [EntityAnnotation(0, 1, "sun", "🌞")]),
    ],
)
def test_annotations_are_taken_out_of_the_text(text: str, without: str, entities: list[EntityAnnotation]) -> None:
    problems = Problems()

    annotated = parse_annotations(text, HERE, problems)

    assert (annotated.text, list(annotated.entities)) == (without, entities)
    assert not problems.errors


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[a]{entity: city}", "The annotation {entity: city} cannot be read."),
        ('[a]{"entiti": "city"}', "names no 'entity'."),
        ('[a]{"entity": 3}', "'entity' in an annotation must be a text, not 3."),
        ('[a]{"entity": "n", "role": 1}', "'role' in an annotation must be a text, not 1."),
    ],
)
def test_a_broken_annotation_is_refused(text: str, error: str) -> None:
    problems = Problems()

    parse_annotations(text, HERE, problems)

    assert len(problems.errors) == 1
    assert error in str(problems.errors[0])


def test_examples_know_their_lines_and_metadata(project: ProjectFolder) -> None:
    data = nlu_of(
        project,
        """\
        nlu:
        - intent: greet
          metadata: {tone: warm}
          examples: |
            - hi

            -   hello there
        - intent: bye
          examples:
          - text: |
              see you
            metadata: {tone: cold}
          - text: bye
        """,
    )

    assert [(e.text, e.intent, e.location.line) for e in data.examples] == [
        ("hi", "greet", 5),
        ("hello there", "greet", 7),
        ("see you", "bye", 10),
        ("bye", "bye", 13),
    ]
    assert [e.metadata for e in data.examples] == [
        {"intent": {"tone": "warm"}},
        {"intent": {"tone": "warm"}},
        {"example": {"tone": "cold"}},
        None,
    ]


def test_synonyms_regexes_and_lookups(project: ProjectFolder) -> None:
    data = nlu_of(
        project,
        """\
        nlu:
        - synonym: New York
          examples: |
            - NYC
            - the big apple
        - regex: zip
          examples: |
            - \\d{5}
        - lookup: city
          examples: |
            - Berlin
            - Rome
        - intent: go
          examples: |
            - to [SF](city:San Francisco)
            - to [the big apple](city:Apple)
        """,
    )

    assert data.synonyms == {"NYC": "New York", "SF": "San Francisco", "the big apple": "Apple"}
    assert [(r.name, r.pattern) for r in data.regexes] == [("zip", "\\d{5}")]
    assert [(t.name, t.elements) for t in data.lookups] == [("city", ("Berlin", "Rome"))]


def test_a_line_without_its_dash_is_skipped_with_a_warning(project: ProjectFolder) -> None:
    result = read_data(project, "nlu:\n- intent: a\n  examples: |\n    - one\n    two\n      - three\n    -\n")

    assert [e.text for e in result.project.nlu.examples] == ["one"]
    hint = "Begin it with '- ', at the level of the others."
    assert [str(w) for w in result.warnings] == [
        f"data.yml:5: This line is no example and is skipped: 'two'. {hint}",
        f"data.yml:6: This line is no example and is skipped: '- three'. {hint}",
        "data.yml:7: An example is empty.",
    ]


def test_every_kind_of_step(project: ProjectFolder) -> None:
    story = project_of(
        project,
        """\
        stories:
        - story: all
          metadata: {x: 1}
          steps:
          - checkpoint: start
            slot_was_set:
            - vip: true
          - intent: /inform
            entities:
            - city: Berlin
              role: to
              group: "1"
            - size
          - intent: faq/ask_name
            user: |
              who are [you](name)
          - user: bye
          - or:
            - intent: affirm
            - intent: thank
              entities: [size]
          - or:
            - slot_was_set: [{a: 1}]
            - slot_was_set: [b]
          - action: utter_hi
          - bot: Hello!
          - slot_was_set:
            - city: null
            - name
            - {x: 1, y: [2]}
          - active_loop: order_form
          - active_loop: null
        """,
    ).stories[0]

    assert plain(story.steps) == [
        CheckpointStep("start", {"vip": True}),
        UserStep("inform", entities=(StoryEntity("city", "Berlin", "to", "1"), StoryEntity("size"))),
        UserStep("faq/ask_name", "who are you", annotations=(EntityAnnotation(8, 11, "name", "you"),)),
        UserStep(None, "bye"),
        OrStep((UserStep("affirm"), UserStep("thank", entities=(StoryEntity("size"),)))),
        OrStep((SlotStep("a", 1), SlotStep("b", by_name_only=True))),
        ActionStep("utter_hi"),
        BotStep("Hello!"),
        SlotStep("city"),
        SlotStep("name", by_name_only=True),
        SlotStep("x", 1),
        SlotStep("y", [2]),
        ActiveLoopStep("order_form"),
        ActiveLoopStep(None),
    ]
    assert [step.location.line for step in story.steps] == [5, 8, 14, 17, 18, 22, 25, 26, 28, 29, 30, 30, 31, 32]


def test_rules_with_conditions(project: ProjectFolder) -> None:
    rules = project_of(
        project,
        """\
        rules:
        - rule: first
          condition:
          - slot_was_set: [{vip: true}, name]
          - active_loop: null
          conversation_start: true
          wait_for_user_input: false
          steps:
          - intent: hi
        - rule: empty
        """,
    ).rules

    assert plain(rules[0].conditions) == [
        SlotStep("vip", True),
        SlotStep("name", by_name_only=True),
        ActiveLoopStep(None),
    ]
    assert (rules[0].conversation_start, rules[0].wait_for_user_input) == (True, False)
    assert len(rules) == 1


def test_test_stories_among_the_data_are_stories_too_as_in_rasa(write_project: Write) -> None:
    stories = """\
        stories:
        - story: a test
          steps:
          - user: |
              hi [Bob](name)
            intent: greet
          - action: utter_greet
        """
    project = write_project({"data/test_stories.yml": stories, "tests/test_more.yml": stories, "tests/x.yml": stories})

    loaded = project.load().project

    assert [story.location.file for story in loaded.stories] == ["data/test_stories.yml"]
    assert [test.location.file for test in loaded.tests] == ["data/test_stories.yml", "tests/test_more.yml"]
    assert plain(loaded.tests[0].steps)[0] == UserStep(
        "greet", "hi Bob", annotations=(EntityAnnotation(3, 6, "name", "Bob"),)
    )


def test_nlu_data_in_a_test_file_is_training_data(write_project: Write) -> None:
    project = write_project({"data/test_nlu.yml": "nlu:\n- intent: bye\n  examples: |\n    - so long\n"})

    assert "so long" in [example.text for example in project.load().project.nlu.examples]


def test_a_broken_test_story_does_not_refuse_training(write_project: Write) -> None:
    project = write_project({"tests/test_stories.yml": "stories:\n- story: t\n  steps:\n  - activity: x\n"})

    warnings = [str(w) for w in project.load().warnings]

    assert any("tests/test_stories.yml:4: The story 't': a step: unknown key 'activity'." in w for w in warnings)


def test_a_story_without_a_name_is_called_by_its_line(write_project: Write) -> None:
    story = "stories:\n- story:\n  steps: [{intent: greet}]\nrules:\n- rule:\n  steps: [{intent: greet}]\n"
    loaded = write_project({"data/stories.yml": story}).load()
    names = [found.name for found in (*loaded.project.stories, *loaded.project.rules)]
    assert [name for name in names if name.startswith("in line")] == ["in line 2", "in line 5"]
    assert any("data/stories.yml:2: A story has no name." in str(warning) for warning in loaded.warnings)


def test_null_stands_for_the_default_of_a_rules_flag(write_project: Write) -> None:
    rule = "rules:\n- rule: r\n  conversation_start:\n  wait_for_user_input:\n  steps: [{intent: greet}]\n"
    (read,) = write_project({"data/rules.yml": rule}).load().project.rules
    assert (read.conversation_start, read.wait_for_user_input) == (False, True)


def test_several_kinds_in_one_file(project: ProjectFolder) -> None:
    read = project_of(
        project,
        """\
        nlu:
        - intent: a
          examples: "- x"
        stories:
        - story: s
          steps: [{intent: a}]
        rules:
        - rule: r
          steps: [{intent: a}]
        """,
    )

    assert (len(read.nlu.examples), len(read.stories), len(read.rules)) == (1, 1, 1)


def test_all_mistakes_of_all_files_are_reported_at_once(write_project: Write) -> None:
    project = write_project(
        {
            "data/nlu.yml": "nlu:\n- intent: greet\n  example: hi\n- synonym: a\n  intent: b\n",
            "data/rules.yml": "rules:\n- rule: r\n  steps:\n  - intent: 12\n  - checkpoint: c\n",
            "data/stories.yml": "stories:\n- story: s\n  step: []\n",
            "config.yml": "pipelin: []\n",
        }
    )

    assert project.texts() == [
        "config.yml:1: Unknown key 'pipelin'. Did you mean 'pipeline'?",
        "data/nlu.yml:3: An item of 'nlu': unknown key 'example'. Did you mean 'examples'?",
        "data/nlu.yml:4: An item of 'nlu' needs one of 'intent', 'synonym', 'lookup' and 'regex', "
        "not 'intent' and 'synonym'.",
        "data/rules.yml:4: The rule 'r': a step: 'intent' must be a text, not 12 (int). Quote it: \"12\".",
        "data/rules.yml:5: The rule 'r': a step of a rule cannot be a checkpoint. Write the steps out, or use a story.",
        "data/stories.yml:3: A story: unknown key 'step'. Did you mean 'steps'?",
    ]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("nlu: {intent: a}\n", "data.yml:1: 'nlu' must be a list, not a mapping."),
        ("nlu:\n- examples: x\n", "data.yml:2: An item of 'nlu' needs one of"),
        (
            "nlu:\n- intent: a\n  examples: [x]\n",
            "data.yml:3: An item of 'nlu': an example must be a mapping, not 'x'. Write 'examples: |'",
        ),
        ("nlu:\n- intent: a\n  examples: 3\n", "must be a text with one '- example' in each line, not 3 (int)."),
        ("nlu:\n- regex: a\n  examples: |\n    - (x\n", "data.yml:4: The regular expression '(x' cannot be used"),
        ("stories: {story: a}\n", "data.yml:1: 'stories' must be a list, not a mapping."),
        ("stories:\n- steps: []\n", "data.yml:2: A story: the key 'story' is missing."),
        ("stories:\n- rule: r\n  steps: []\n", "data.yml:2: A rule must be in 'rules'. Move it there."),
        ("stories:\n- story: s\n  steps: [{metadata: {a: 1}}]\n", "a step: unknown key 'metadata'."),
        ("rules:\n- story: s\n  steps: []\n", "data.yml:2: A story must be in 'stories'. Move it there."),
        ("rules:\n- rule: 3\n", "data.yml:2: A rule: 'rule' must be a text, not 3 (int)."),
        ("stories:\n- story: a\n  steps:\n  - activity: b\n", "a step: unknown key 'activity'."),
        ("stories:\n- story: a\n  steps:\n  - intent:\n", "'intent' must be a text, not nothing."),
        ("stories:\n- story: a\n  steps:\n  - utter_x\n", "a step must be a mapping, not 'utter_x'."),
        ("stories:\n- story: a\n  steps:\n  - {intent: a, action: b}\n", "a step of 'intent' cannot have 'action'."),
        ("stories:\n- story: a\n  steps:\n  - entities: [b]\n", "has 'entities' but no 'intent'."),
        ("stories:\n- story: a\n  steps:\n  - {}\n", "a step is empty."),
        ("stories:\n- story: a\n  steps:\n  - or: [{action: b}]\n", "an alternative of 'or': unknown key 'action'."),
        ("stories:\n- story: a\n  steps:\n  - slot_was_set: {a: b}\n", "'slot_was_set' must be a list, not a mapping."),
        ("stories:\n- story: a\n  steps:\n  - {intent: a, entities: [{x: 1, y: 2}]}\n", "an entity must be a name, or"),
        ("rules:\n- rule: a\n  condition: [{intent: b}]\n  steps: []\n", "a condition: unknown key 'intent'."),
        (
            "rules:\n- rule: a\n  condition: [{active_loop: f, slot_was_set: [s]}]\n  steps: []\n",
            "a condition has more than one key.",
        ),
        ("storys: []\nstories: []\n", "data.yml:1: Unknown key 'storys'. Did you mean 'stories'?"),
    ],
)
def test_a_mistake_in_training_data_is_refused(project: ProjectFolder, data: str, error: str) -> None:
    project.write("data.yml", data.encode())

    with pytest.raises(ProjectError) as refused:
        read_project(ProjectPaths(project.root, None, (), (project.root / "data.yml",)))

    assert len(refused.value.problems) == 1
    assert error in str(refused.value)


def test_invalid_utf8_and_bad_indentation_are_refused_with_file_and_line(write_project: Write) -> None:
    project = write_project({"data/nlu.yml": b"nlu:\n- intent: \xff\n", "data/rules.yml": "rules:\n- rule: a\n - x\n"})

    assert project.texts() == [
        "data/nlu.yml:2: The file is not valid UTF-8. Save it with the encoding UTF-8.",
        "data/rules.yml:3: No valid YAML: did not find expected key. Check indentation, quotes and colons.",
    ]


def test_an_example_that_only_repeats_another_counts_once() -> None:
    city = EntityAnnotation(0, 4, "city", "Rome")
    first = Example("Rome", "travel", (city,), location=Location("a.yml", 3))
    examples = (first, Example("hello", "greet"), Example("Rome", "travel", (city,)), Example("Rome", "travel"))
    assert NluData(examples).distinct.examples == (first, examples[1], examples[3])


def test_examples_with_different_metadata_are_different() -> None:
    examples = tuple(Example("hello", "greet", metadata=metadata) for metadata in ({"a": [1]}, {"a": [2]}, {"a": [1]}))
    assert NluData(examples).distinct.examples == examples[:2]
