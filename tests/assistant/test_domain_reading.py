"""Domain files: what is read, how several are merged, and what each mistake is answered with."""

from collections.abc import Callable

import pytest
from support.project_folder import ProjectFolder
from turnstream.assistant.codec import domain_as_rasa
from turnstream.assistant.domain import Domain, MappingCondition, ResponseCondition, SessionConfig
from turnstream.assistant.reader import ProjectPaths, read_project

Write = Callable[[dict[str, str | bytes]], ProjectFolder]


def domain_of(project: ProjectFolder) -> Domain:
    paths = ProjectPaths.default(project.root)
    return read_project(ProjectPaths(project.root, None, paths.domain, paths.data)).project.domain


def test_entities_that_an_intent_uses(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": """\
                intents:
                - all
                - none: {use_entities: []}
                - null_is_none: {use_entities: null}
                - only: {use_entities: [city]}
                - hidden_too: {use_entities: [time]}
                - but: {ignore_entities: [city]}
                entities:
                - city: {roles: [from, to], groups: ["1"]}
                - size
                - time: {influence_conversation: false}
                """
        }
    )
    intents = domain_of(project).intents
    labels = {"city", "city#from", "city#to", "city.1"}

    assert intents["all"].used_entities == labels | {"size"}
    assert intents["none"].used_entities == intents["null_is_none"].used_entities == frozenset()
    assert intents["only"].used_entities == labels
    assert intents["hidden_too"].used_entities == frozenset()
    assert intents["but"].used_entities == {"size"}
    assert intents["restart"].used_entities == labels | {"size"}


def test_slots_with_every_key(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": """\
                slots:
                  risk: {type: categorical, values: [low, 3, true], mappings: [{type: custom, action: action_risk}]}
                  size:
                    type: float
                    min_value: 1
                    max_value: 9
                    initial_value: 2
                    influence_conversation: false
                    mappings:
                    - type: from_entity
                      entity: number
                      role: size
                      intent: inform
                      not_intent: [deny, stop]
                      conditions:
                      - active_loop: null
                      - {active_loop: order_form, requested_slot: size}
                  age: {type: my.module.AgeSlot, limit: 18, mappings: []}
                  thing: {type: any, mappings: [{type: from_intent, intent: affirm, value: true}]}
                forms:
                  order_form: {required_slots: [size], ignored_intents: chitchat}
                  empty_form: {}
                """
        }
    )
    domain = domain_of(project)
    size = domain.slots["size"]

    assert domain.slots["risk"].values == ("low", 3, True)
    assert domain.slots["risk"].mappings[0].action == "action_risk"
    assert (size.min_value, size.max_value, size.initial_value, size.influence_conversation) == (1, 9, 2, False)
    assert size.mappings[0].intents == ("inform",)
    assert size.mappings[0].not_intents == ("deny", "stop")
    assert size.mappings[0].conditions == (MappingCondition(None), MappingCondition("order_form", "size"))
    assert domain.slots["age"].options == {"limit": 18}
    assert not domain.slots["thing"].influence_conversation
    assert domain.forms["order_form"].ignored_intents == ("chitchat",)
    assert domain.forms["empty_form"].required_slots == ()
    assert list(domain.slots) == ["risk", "size", "age", "thing", "requested_slot", "session_started_metadata"]


def test_an_own_requested_slot_keeps_its_place(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": """\
                slots:
                  requested_slot: {type: categorical, values: [city], mappings: [{type: custom}]}
                  city: {type: text, mappings: []}
                forms:
                  f: {required_slots: [city]}
                """
        }
    )
    slots = domain_of(project).slots

    assert list(slots) == ["requested_slot", "city", "session_started_metadata"]
    assert slots["requested_slot"].type == "categorical"


def test_responses_with_every_key(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": """\
                responses:
                  utter_all:
                  - text: ""
                    image: i.png
                    attachment: {a: 1}
                    custom: {b: [1]}
                    buttons: [{title: Go, payload: /go, extra: 1}]
                    quick_replies: [{title: Q}]
                    elements: [{title: E}]
                    channel: slack
                    id: one
                    metadata: {tone: warm}
                    condition:
                    - {type: slot, name: vip, value: true}
                    - {name: city, value: null}
                  - condition: []
                    text: never
                """
        }
    )
    first, second = domain_of(project).responses["utter_all"]

    assert (first.text, first.image, first.channel, first.id) == ("", "i.png", "slack", "one")
    assert first.buttons == ({"title": "Go", "payload": "/go", "extra": 1},)
    assert first.conditions == (ResponseCondition("vip", True), ResponseCondition("city", None))
    assert second.conditions == ()


def test_null_in_a_variation_is_a_key_that_is_not_there_and_metadata_may_be_anything(write_project: Write) -> None:
    project = write_project(
        {"domain.yml": "responses: {utter_a: [{text: , custom: {a: 1}, condition: , image: , metadata: [warm]}]}\n"}
    )
    (variation,) = domain_of(project).responses["utter_a"]
    assert variation.text is None
    assert variation.custom == {"a": 1}
    assert variation.conditions is None
    assert variation.metadata == ["warm"]


def test_a_response_among_the_data_replaces_the_one_of_the_domain(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": "responses: {utter_a: [{text: of the domain}], utter_b: [{text: b}]}\n",
            "data/responses.yml": "responses: {utter_a: [{text: of the data}]}\n",
        }
    )
    domain = domain_of(project)
    assert [variation.text for variation in domain.responses["utter_a"]] == ["of the data"]
    assert [variation.text for variation in domain.responses["utter_b"]] == ["b"]


def test_actions_that_get_the_domain_and_end_to_end_texts(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": """\
                actions:
                - action_one: {send_domain: true}
                - action_two
                - action_three: {send_domain: false}
                e2e_actions: [Hello there]
                """,
            "data/stories.yml": """\
                stories:
                - story: e2e
                  steps:
                  - user: hi
                  - bot: Welcome!
                """,
        }
    )
    domain = domain_of(project)

    assert domain.actions == ("action_one", "action_two", "action_three")
    assert domain.actions_with_domain == {"action_one"}
    assert domain.e2e_actions == ("Hello there", "Welcome!")


def test_null_stands_for_a_key_that_is_not_there(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": """\
                slots:
                  a: {type: any, mappings: [{type: from_text, role: null, intent: null, action: null}]}
                responses:
                  utter_a: [{text: a, image: null, channel: null, id: null, buttons: null, metadata: null}]
                """
        }
    )
    domain = domain_of(project)

    assert domain.slots["a"].mappings[0].intents == ()
    assert domain.responses["utter_a"][0].image is None


def test_keys_that_are_no_texts_become_texts_as_in_json(write_project: Write) -> None:
    project = write_project({"domain.yml": "responses: {utter_a: [{custom: {2: a, true: b}}]}\n"})

    assert domain_of(project).responses["utter_a"][0].custom == {"2": "a", "true": "b"}


def test_retrieval_intents_come_from_the_examples(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": "intents: [faq, chitchat]\n",
            "data/nlu.yml": """\
                nlu:
                - intent: faq/ask_name
                  examples: |
                    - who are you
                responses:
                  utter_faq/ask_name:
                  - text: a bot
                """,
        }
    )
    domain = domain_of(project)

    assert domain.retrieval_intents == {"faq"}
    assert "utter_faq" in domain.actions
    assert domain.responses["utter_faq/ask_name"][0].text == "a bot"
    assert domain_as_rasa(domain)["intents"] == [
        "chitchat",
        {"faq": {"used_entities": [], "is_retrieval_intent": True}},
    ]


def test_files_of_a_folder_are_merged_and_the_first_wins(write_project: Write) -> None:
    project = write_project(
        {
            "domain/a.yml": """\
                intents: [greet]
                slots:
                  city: {type: text, initial_value: first, mappings: []}
                session_config: {session_expiration_time: 60, carry_over_slots_to_new_session: true}
                """,
            "domain/sub/b.yml": """\
                intents: [greet, bye]
                slots:
                  size: {type: text, mappings: []}
                  city: {type: list, mappings: []}
                session_config: {session_expiration_time: 5, carry_over_slots_to_new_session: false}
                """,
            "domain/sub/notes.yml": "note: no domain key\n",
        }
    )
    (project.root / "domain.yml").unlink()
    result = read_project(ProjectPaths(project.root, None, (project.root / "domain",), ()))
    domain = result.project.domain

    assert [name for name in domain.intents if domain.intents[name].location.line] == ["bye", "greet"]
    assert domain.slots["city"].initial_value == "first"
    assert list(domain.slots) == ["size", "city", "session_started_metadata"]
    assert domain.session == SessionConfig(5, False)
    assert [str(w) for w in result.warnings] == [
        "domain/sub/b.yml:1: 'greet' in 'intents' is also in domain/a.yml, which counts. Remove one.",
        "domain/sub/b.yml:4: 'city' in 'slots' is also in domain/a.yml, which counts. Remove one.",
    ]


def test_all_mistakes_of_a_domain_are_reported_at_once(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": """\
                version: 3.1
                intents: [greet, greet, 12]
                entities: [{city: {role: [to]}}]
                slots:
                  size: {type: textt, mappings: []}
                  city:
                    type: text
                    mapings: []
                  level: {type: float, min_value: 5, max_value: 5, mappings: [{type: from_entity}]}
                responses:
                  utter_greet:
                  - hi
                  - {tex: hello}
                forms:
                  order: {required_slot: [city]}
                session_config: {session_expiration_time: -1}
                intentz: []
                """
        }
    )

    assert project.texts() == [
        "domain.yml:1: 'version' must be a text, not 3.1. Write '\"3.1\"'.",
        "domain.yml:2: 'greet' is listed twice in 'intents'; the first is in line 2.",
        "domain.yml:2: A name in 'intents' must be a text, not 12 (int). Quote it: \"12\".",
        "domain.yml:3: 'city' in 'entities': unknown key 'role'. Did you mean 'roles'?",
        "domain.yml:5: The slot 'size' has the unknown type 'textt'. Did you mean 'text'?",
        "domain.yml:6: The slot 'city' has no 'mappings'. "
        "Add them, or 'mappings: [{type: custom}]' where only actions set it.",
        "domain.yml:8: The slot 'city': unknown key 'mapings'. Did you mean 'mappings'?",
        "domain.yml:9: A mapping of the slot 'level' of type 'from_entity' needs a value for the key 'entity'.",
        "domain.yml:9: The float slot 'level' has a 'min_value' (5) that is not below its 'max_value' (5).",
        "domain.yml:12: A variation of 'utter_greet' is a bare text. Write '- text: hi'.",
        "domain.yml:13: A variation of 'utter_greet': unknown key 'tex'. Did you mean 'text'?",
        "domain.yml:15: The form 'order': unknown key 'required_slot'. Did you mean 'required_slots'?",
        "domain.yml:16: 'session_expiration_time' is negative (-1).",
        "domain.yml:17: Unknown key 'intentz'. Did you mean 'intents'?",
    ]


@pytest.mark.parametrize(
    ("domain", "error"),
    [
        ("intents: [{greet: }]\n", "'greet' in 'intents' has a colon but no properties. Remove the colon."),
        ("intents: [{a: {use_entities: [x]}, b: {}}]\n", "must be one name with its properties, not 'a', 'b'."),
        ("intents: [{greet: {triggers: utter_hi}}]\n", "'triggers' was removed. Write a rule instead."),
        ("entities:\n", "'entities' must be a list, not nothing."),
        ("slots:\n", "'slots' must be a mapping from names, not nothing."),
        (
            "slots: {a: {type: unfeaturized, mappings: []}}\n",
            "Use the type 'text' with 'influence_conversation: false'.",
        ),
        ("slots: {a: {mappings: []}}\n", "The slot 'a': the key 'type' is missing."),
        ("slots: {a: {type: text, mappings: [{type: from_nowhere}]}}\n", "has the unknown type 'from_nowhere'."),
        ("slots: {session_started_metadata: {type: any, mappings: []}}\n", "is built in and cannot be defined."),
        ("slots: {7: {type: any, mappings: []}}\n", "The name of a slot must be a text, not 7 (int)."),
        ("slots: {a: {type: any, influence_conversation: true, mappings: []}}\n", "cannot influence the conversation."),
        ("slots: {a: {type: float, initial_value: low, mappings: []}}\n", "'initial_value' must be a number"),
        (
            "slots: {a: {type: text, mappings: [{type: from_intent, intent: b, value: null}]}}\n",
            "of type 'from_intent' needs a value for the key 'value'.",
        ),
        ("intents: [{a: {ignore_entities: null}}]\n", "'ignore_entities' must be a list, not nothing."),
        ("e2e_actions: [Hello, Bye, Hello]\n", "'Hello' is listed twice in 'e2e_actions'."),
        ("forms: {f: null}\n", "The form 'f' has a colon but no properties."),
        ("forms: [trip_form]\n", "'forms' must be a mapping from names, not a list."),
        ("forms: {f: {required_slots: {city: []}}}\n", "'required_slots' must be a list, not a mapping."),
        ("forms: {f: {ignored_intents: [a]}}\n", "has 'ignored_intents' but no 'required_slots'."),
        ("responses: {utter_a: }\n", "The response 'utter_a' must be a list, not nothing."),
        ("responses: {utter_a: [{text: }]}\n", "A variation of 'utter_a' has no 'text'."),
        ("responses: {utter_a: [{image: a.png}]}\n", "A variation of 'utter_a' has no 'text'."),
        ("responses: {utter_a: [{custom: }]}\n", "A variation of 'utter_a' has no 'text'."),
        ("responses: {utter_a: [{text: a, custom: }]}\n", "'custom' must be a mapping, not nothing."),
        ("responses: {utter_a: [{custom: [1, 2]}]}\n", "'custom' must be a mapping, not a list."),
        ("responses: {utter_a: [{text: a, attachment: a.pdf}]}\n", "'attachment' must be a mapping, not 'a.pdf'."),
        ("responses: {utter_a: [{text: a, button_type: 5}]}\n", "'button_type' must be a text, not 5 (int)."),
        ("responses: {utter_a: [{}]}\n", "A variation of 'utter_a' is empty."),
        ("responses: {utter_a: [{text: a, condition: [{name: x}]}]}\n", "a constraint has no 'value'."),
        ("responses: {utter_a: [{text: a, buttons: [{title: 1}]}]}\n", "'title' must be a text, not 1 (int)."),
        ("responses: {utter_a: [{text: a, buttons: [{payload: 5}]}]}\n", "'payload' must be a text, not 5 (int)."),
        ("actions: [action_a, action_a]\n", "'action_a' is listed twice in 'actions'"),
        ("actions: [{action_a: {send_domain: often}}]\n", "'send_domain' must be true or false, not 'often'."),
        ('version: "4.0"\n', "The version '4.0' is unknown. The latest is \"3.1\"."),
        ("version: latest\n", "'latest' is no version."),
        ("- a\n", "The file must be a mapping from keys, such as 'version:'."),
    ],
)
def test_a_mistake_in_a_domain_is_refused(write_project: Write, domain: str, error: str) -> None:
    texts = write_project({"domain.yml": domain}).texts()

    assert len(texts) == 1
    assert texts[0].startswith("domain.yml:1: ")
    assert error in texts[0]


@pytest.mark.parametrize(
    ("domain", "warning"),
    [
        ('version: "2.0"\n', "The file has the version '2.0' and is read as \"3.1\"."),
        ("colours: [red]\n", "The unknown key 'colours' has no effect."),
        ("slots: {a: {type: categorical, mappings: []}}\n", "has no 'values': any value is '__other__'."),
        ("slots: {a: {type: categorical, values: [x, null], mappings: []}}\n", "lists null among its 'values'."),
        ("slots: {a: {type: categorical, values: , mappings: []}}\n", "has no 'values': any value is '__other__'."),
        ("slots: {a: {type: bool, influence_conversation: , mappings: []}}\n", "has no value: it counts as false."),
        (
            "slots: {a: {type: any, mappings: [{type: from_text, conditions: [{requested_slot: a}]}]}}\n",
            "a condition without 'active_loop' holds only where no form is active.",
        ),
        ("slots: {a: {type: float, initial_value: 7, mappings: []}}\n", "an initial value (7) outside of its range."),
        ("slots: {a: {type: any, mappings: [{type: from_text, auto_fill: true}]}}\n", "'auto_fill' has no effect."),
        ("responses: {utter_a: []}\n", "has no variation: nothing will be said."),
        ("intents: [{a: {use_entities: [cit]}}]\nentities: [city]\n", "names the entity 'cit', which is not in the"),
    ],
)
def test_what_rasa_lets_stand_only_warns(write_project: Write, domain: str, warning: str) -> None:
    project = write_project({"domain.yml": domain})
    result = read_project(ProjectPaths(project.root, None, (project.root / "domain.yml",), ()))

    assert len(result.warnings) == 1
    assert warning in str(result.warnings[0])


def test_what_has_no_value_or_the_name_of_a_class_of_rasa_is_read_as_rasa_reads_it(project: ProjectFolder) -> None:
    project.write(
        "domain.yml",
        """\
        slots:
          sure: {type: rasa.shared.core.slots.BooleanSlot, influence_conversation: null, mappings: []}
          level: {type: rasa.shared.core.slots.FloatSlot, max_value: 4, mappings: []}
        e2e_actions:
        session_config: {session_expiration_time: null, carry_over_slots_to_new_session: false}
        """,
    )

    domain = domain_of(project)

    assert (domain.slots["sure"].type, domain.slots["sure"].influence_conversation) == ("bool", False)
    assert (domain.slots["level"].type, domain.slots["level"].max_value) == ("float", 4)
    assert domain.e2e_actions == ()
    assert domain.session == SessionConfig(60.0, carry_over_slots=False)


def test_the_domain_shows_session_and_entities_as_they_were_written(project: ProjectFolder) -> None:
    project.write(
        "domain.yml",
        """\
        intents: [{all: {use_entities: null}}, {none: {use_entities: false}}]
        session_config: {carry_over_slots_to_new_session: false}
        """,
    )

    shown = domain_as_rasa(domain_of(project))

    assert shown["intents"] == [{"all": {"use_entities": []}}, {"none": {"use_entities": []}}]
    assert shown["session_config"] == {"carry_over_slots_to_new_session": False}
