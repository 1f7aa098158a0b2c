"""A project in order, with a form and without networks: each test changes what it is about."""

from pathlib import Path

from turnstream.assistant.reader import ProjectPaths
from turnstream.authoring.validation import examine

FILES = {
    "config.yml": """
recipe: default.v1
assistant_id: ordered
language: en
pipeline:
  - name: WhitespaceTokenizer
  - name: KeywordIntentClassifier
  - name: RegexEntityExtractor
policies:
  - name: RulePolicy
""",
    "domain.yml": """
version: "3.1"
intents: [order, greet]
entities: [dish]
slots:
  dish:
    type: text
    influence_conversation: false
    mappings:
      - type: from_entity
        entity: dish
forms:
  order_form:
    required_slots: [dish]
responses:
  utter_greet:
    - text: Hello.
  utter_ask_dish:
    - text: Which dish?
  utter_ordered:
    - text: Ordered.
""",
    "data/data.yml": """
version: "3.1"
nlu:
  - intent: greet
    examples: |
      - hello
      - good day
  - intent: order
    examples: |
      - I want [soup](dish)
      - order something
rules:
  - rule: greet
    steps:
      - intent: greet
      - action: utter_greet
  - rule: begin
    steps:
      - intent: order
      - action: order_form
      - active_loop: order_form
  - rule: end
    condition:
      - active_loop: order_form
    steps:
      - action: order_form
      - active_loop: null
      - action: utter_ordered
""",
}


class OrderProject:
    """Written to a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def change(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new, 1))

    def warnings(self) -> list[str]:
        found = examine(ProjectPaths.default(self.root))
        assert found.errors == ()
        return [f"{warning.location}: {warning.message}" for warning in found.warnings]

    def errors(self) -> list[str]:
        return [f"{error.location}: {error.message}" for error in examine(ProjectPaths.default(self.root)).errors]
