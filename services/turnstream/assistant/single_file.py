"""A whole project in one YAML text, as requests for training bring it, laid out as files."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from turnstream.assistant.config_reader import CONFIG_KEYS
from turnstream.assistant.domain_files import DOMAIN_KEYS
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems, nearest
from turnstream.assistant.reader import ProjectPaths
from turnstream.assistant.yaml_nodes import Node, parse_yaml

SHOWN = "body"
VERSION = "version"
DATA_KEYS = ("nlu", "stories", "rules")
_FILES = {"config.yml": CONFIG_KEYS, "domain.yml": DOMAIN_KEYS, "data.yml": DATA_KEYS}


def lay_out(content: bytes, folder: Path) -> ProjectPaths:
    """Write config, domain and training data into a folder, each section on the lines that it has in `content`.

    JSON is YAML too; there the lines are lost. Raises ProjectError where it cannot be divided.
    """
    problems = Problems()
    root = parse_yaml(content, SHOWN, problems)
    sections = _sections(root, problems)
    problems.raise_if_any()
    assert root is not None
    text = content.decode("utf-8-sig")
    for name, keys in _FILES.items():
        chosen = {key for key in sections if key in keys or key == VERSION}
        written = _lines(text, root, chosen) if _is_block(root) else _dumped(root, chosen)
        (folder / name).write_text(written, encoding="utf-8")
    return ProjectPaths(folder, folder / "config.yml", (folder / "domain.yml",), (folder / "data.yml",))


def _sections(root: Node | None, problems: Problems) -> dict[Any, Node]:
    known = [VERSION, *(key for keys in _FILES.values() for key in keys)]
    if root is None or root.mapping is None:
        if not problems.errors:
            problems.error(Location(SHOWN), "A project is a mapping: 'pipeline', 'intents', 'nlu', 'rules' and so on.")
        return {}
    for key in root.mapping:
        if key not in known:
            problems.error(root.key_location(key), f"Unknown key '{key}'.", nearest(str(key), known))
    return root.mapping


def _is_block(root: Node) -> bool:
    """Whether each section begins on a line of its own, as it does not in JSON."""
    lines = list(root.key_lines.values())
    return root.mapping is not None and len(lines) == len(root.mapping) == len(set(lines))


def _lines(text: str, root: Node, chosen: Collection[Any]) -> str:
    """The text with the lines of all other sections left empty."""
    owners = {line: key for key, line in root.key_lines.items()}
    kept, owner = [], None
    for number, line in enumerate(text.splitlines(), 1):
        owner = owners.get(number, owner)
        kept.append(line if owner in chosen else "")
    return "\n".join(kept) + "\n"


def _dumped(root: Node, chosen: Collection[Any]) -> str:
    return json.dumps({key: node.plain() for key, node in (root.mapping or {}).items() if key in chosen})
