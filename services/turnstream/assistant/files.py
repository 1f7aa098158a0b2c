"""Which files of a project are read, in which order, and what each holds."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from turnstream.assistant.config_reader import nested_imports
from turnstream.assistant.domain_files import DOMAIN_KEYS
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems
from turnstream.assistant.yaml_nodes import Node, read_yaml

SUFFIXES = (".yml", ".yaml")
TEST_PREFIX = "test_"
DATA_KEYS = ("nlu", "stories", "rules", "responses", "flows")
LATEST_VERSION = (3, 1)


class Files:
    """Reads each file once and shows its path relative to the project's root."""

    def __init__(self, root: Path, problems: Problems) -> None:
        self._root = root
        self._problems = problems
        self._read: dict[Path, Node | None] = {}

    def shown(self, path: Path) -> str:
        """The name under which problems name a file."""
        try:
            return path.resolve().relative_to(self._root.resolve()).as_posix()
        except ValueError:
            return path.as_posix()

    def read(self, path: Path, *, unset_ok: bool = False) -> Node | None:
        """The content of a file; None where it is empty or cannot be read (then with a problem).

        `unset_ok`: an environment variable without a value is no error yet, see `yaml_nodes.refuse_unset`.
        """
        if path not in self._read:
            self._read[path] = read_yaml(path, self.shown(path), self._problems, unset_ok=unset_ok)
        return self._read[path]

    def read_mapping(self, path: Path, *, unset_ok: bool = False) -> Node | None:
        """As `read`, with an error where the file holds something else than a mapping."""
        root = self.read(path, unset_ok=unset_ok)
        if root is not None and root.mapping is None:
            self._problems.error(root.location, "The file must be a mapping from keys, such as 'version:'.")
            return None
        return root


def is_test_file(path: Path) -> bool:
    """Whether a file holds test stories, which are kept out of training."""
    return path.name.startswith(TEST_PREFIX)


def data_files(paths: Iterable[Path]) -> list[Path]:
    """All YAML files under the given files and folders, sorted by path; hidden files and folders are left out."""
    return sorted({file for path in paths for file in _walk(path)}, key=str)


def domain_files(path: Path) -> list[Path]:
    """All YAML files of a domain folder: those of a folder before those of its sub-folders."""
    return list(_walk(path))


def _walk(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, folders, files in os.walk(path, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (
            Path(folder, name) for name in sorted(files) if name.endswith(SUFFIXES) and not name.startswith(".")
        )


def holds_domain(root: Node) -> bool:
    """Whether a file of a domain folder has a domain section."""
    return any(key in DOMAIN_KEYS for key in root.mapping or {})


def holds_only_domain(root: Node) -> bool:
    """Whether a file among the training data is a domain file: it has sections that only a domain has."""
    keys = set(root.mapping or {})
    return bool(keys & (set(DOMAIN_KEYS) - {"responses"})) and not keys & {"nlu", "stories", "rules", "flows"}


def check_version(root: Node, problems: Problems) -> None:
    """An error for a version that is no text or is unknown, a warning for an old one. No version means the latest."""
    node = (root.mapping or {}).get("version")
    if node is None or node.value is None:
        return
    if not isinstance(node.value, str):
        problems.error(node.location, f"'version' must be a text, not {node.value!r}.", f"Write '\"{node.value}\"'.")
        return
    try:
        version = tuple(int(part) for part in node.value.split("."))
    except ValueError:
        problems.error(node.location, f"'{node.value}' is no version.", 'Write version: "3.1".')
        return
    if version > LATEST_VERSION:
        problems.error(node.location, f"The version '{node.value}' is unknown.", 'The latest is "3.1".')
    elif version < (3,):
        problems.warning(node.location, f"The file has the version '{node.value}' and is read as \"3.1\".")


def imported_folders(start: Path, imports: Iterable[str], files: Files, problems: Problems) -> list[Path]:
    """The folders of imported projects, and of those that they import; paths are relative to the importing config."""
    found: list[Path] = []
    waiting = [(start, name) for name in imports]
    while waiting:
        base, name = waiting.pop(0)
        folder = Path(os.path.normpath(base / name))
        if not folder.exists():
            problems.error(Location(files.shown(base / "config.yml")), f"The imported project '{name}' does not exist.")
        elif folder not in found:
            found.append(folder)
            config = folder / "config.yml"
            root = files.read(config) if config.is_file() else None
            waiting += [(folder, nested) for nested in (nested_imports(root) if root is not None else ())]
    return found
