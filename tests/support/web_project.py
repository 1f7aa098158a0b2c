"""A project that shows in a browser what an assistant may say, hostile things too. It trains in a moment."""

from pathlib import Path
from typing import Any

import yaml
from support.small_project import write_project

LONG = "word " * 20_000
"""100 kB."""
MARKUP = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\"> javascript:alert(1)"
RIGHT_TO_LEFT = "שלום \u202eevil\u202c עולם"

SAID = {
    "greet": ["hello", "hi there"],
    "affirm": ["yes please"],
    "ask": ["ask me"],
    "show": ["show everything"],
    "attack": ["attack"],
    "talk": ["talk a lot"],
    "travel": ["travel to [Berlin](city)"],
}
RESPONSES: dict[str, list[dict[str, Any]]] = {
    "utter_greet": [{"text": "Hello, see https://example.org/help."}],
    "utter_affirm": [{"text": "You agreed."}],
    "utter_ask": [{"text": "Shall I?", "buttons": [{"title": "Yes, do", "payload": "/affirm"}]}],
    "utter_show": [{"text": "Look", "image": "javascript:alert(1)", "custom": {"kind": "map", "zoom": 3}}],
    "utter_attack": [{"text": MARKUP, "buttons": [{"title": "<b>bold</b>", "payload": "/affirm"}]}],
    "utter_right_to_left": [{"text": RIGHT_TO_LEFT}],
    "utter_talk": [{"text": LONG}],
    "utter_travel": [{"text": "To {city}."}],
    "utter_rephrase": [{"text": "I did not get that."}],
}
DOMAIN = {
    "version": "3.1",
    "intents": list(SAID),
    "entities": ["city"],
    "slots": {"city": {"type": "text", "mappings": [{"type": "from_entity", "entity": "city"}]}},
    "responses": RESPONSES,
}
CONFIG = """
recipe: default.v1
assistant_id: web
language: en
pipeline:
  - name: WhitespaceTokenizer
  - name: KeywordIntentClassifier
  - name: RegexEntityExtractor
  - name: FallbackClassifier
    threshold: 0.5
policies:
  - name: RulePolicy
"""


def write_web_project(folder: Path) -> Path:
    write_project(
        folder,
        config_yml=CONFIG,
        domain_yml=_yaml(DOMAIN),
        data_nlu_yml=_yaml({"version": "3.1", "nlu": [*map(_intent, SAID), _lookup("city", "Berlin", "Paris")]}),
        data_rules_yml=_yaml({"version": "3.1", "rules": [*map(_rule, SAID), _rule("nlu_fallback")]}),
        endpoints_yml="",
        credentials_yml="rest:\n",
    )
    return folder


def _intent(name: str) -> dict[str, str]:
    return {"intent": name, "examples": "".join(f"- {text}\n" for text in SAID[name])}


def _lookup(name: str, *values: str) -> dict[str, str]:
    return {"lookup": name, "examples": "".join(f"- {value}\n" for value in values)}


def _rule(intent: str) -> dict[str, Any]:
    actions = {"nlu_fallback": ["utter_rephrase"], "attack": ["utter_attack", "utter_right_to_left"]}
    steps = [{"action": action} for action in actions.get(intent, [f"utter_{intent}"])]
    return {"rule": f"answer {intent}", "steps": [{"intent": intent}, *steps]}


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, as authors write them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
