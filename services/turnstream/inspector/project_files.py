"""Files of an author's project, read and replaced; nothing outside of the project's folder."""

import difflib
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from turnstream.assistant.files import SUFFIXES, data_files, is_test_file
from turnstream.assistant.reader import ProjectPaths, imported_places
from turnstream.runtime.errors import Conflict, Forbidden, InvalidRequest

MAX_FILE_BYTES = 16 * 1024 * 1024
TESTS, STORIES, NLU = "tests/test_stories.yml", "data/stories.yml", "data/nlu.yml"
"""Where things go in a project that has the usual folders."""
_STORIES = re.compile(r"^stories[ \t]*:", re.MULTILINE)
_STORY = re.compile(r"^\s*-\s+story[ \t]*:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Change:
    """A file and what it is to hold; `path` is relative to the project, with slashes."""

    path: str
    before: str
    after: str

    @property
    def diff(self) -> str:
        """Unified, as `git diff` shows it."""
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            f"a/{self.path}" if self.before else "/dev/null",
            f"b/{self.path}",
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


class ProjectFiles:
    """Of the project in the folder `root`; `data` are its files and folders with training data, `data` by default.

    The folders that its config imports hold training data too.
    """

    def __init__(self, root: Path, data: Sequence[Path] = ()) -> None:
        self._root = root.resolve()
        default = ProjectPaths.default(self._root)
        imported = (path.resolve() for path in imported_places(default))
        self._data = (*(tuple(path.resolve() for path in data) or default.data), *imported)
        self._tests = default.tests

    def nlu_files(self) -> list[Path]:
        """Those with training data, sorted."""
        return [path for path in self._files(self._data) if not is_test_file(path)]

    def _files(self, places: Sequence[Path]) -> list[Path]:
        # A folder may be linked from elsewhere: what is outside is not the author's to change from here.
        return [path for path in data_files(p for p in places if p.exists()) if self._is_inside(path)]

    def home_of_stories(self, *, tests: bool) -> str:
        """The file that one more story goes to: the usual one, or where most are, or a new one among the data."""
        usual = TESTS if tests else STORIES
        found = self._files((*self._tests, *self._data) if tests else self._data)
        counts = {path: _stories_in(self.read(path)) for path in found if is_test_file(path) == tests}
        homes = {path: count for path, count in counts.items() if count}
        if self._root / usual in homes or (not homes and (tests or self._holds(self._root / usual))):
            return usual
        if homes:
            return self.shown(max(homes, key=lambda path: homes[path]))
        return self._among_data(PurePosixPath(usual).name)

    def home_of_examples(self) -> str:
        """The file that the first example of an intent goes to where no file has an NLU section."""
        return NLU if self._holds(self._root / NLU) else self._among_data(PurePosixPath(NLU).name)

    def _holds(self, path: Path) -> bool:
        return any(path == place or place in path.parents for place in self._data)

    def _among_data(self, name: str) -> str:
        """A file of that name in the first folder of the data; where there are files alone, the first of them."""
        folder = next((place for place in self._data if not place.is_file()), None)
        return self.shown(self._data[0] if folder is None else folder / name)

    def shown(self, path: Path) -> str:
        return path.resolve().relative_to(self._root).as_posix()

    def place(self, name: str) -> Path:
        """The file of that name. Raises Forbidden where it is not inside of the project, InvalidRequest."""
        pure = PurePosixPath(name)
        if not name or "\0" in name or not name.isprintable():
            raise InvalidRequest("'file' is no name of a file")
        if pure.is_absolute() or ".." in pure.parts or "\\" in name:
            raise Forbidden(f"'{name}' is not inside of the project: name a file below its folder")
        if pure.suffix not in SUFFIXES or any(part.startswith(".") for part in pure.parts):
            raise InvalidRequest(f"'{name}' is no file of training data: name a .yml file that is not hidden")
        path = (self._root / pure).resolve()
        if not self._is_inside(path):
            raise Forbidden(f"'{name}' leads out of the project by a link")
        if path.is_dir():
            raise InvalidRequest(f"'{name}' is a folder")
        return path

    def _is_inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self._root)

    def read(self, path: Path) -> str:
        """Empty where there is no such file. Raises Conflict where it cannot be read as text."""
        try:
            if path.exists() and path.stat().st_size > MAX_FILE_BYTES:
                raise Conflict(f"{self.shown(path)} is larger than {MAX_FILE_BYTES} bytes")
            with path.open(encoding="utf-8", newline="") as file:
                return file.read()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise Conflict(f"{self.shown(path)} cannot be read: {error}") from error

    def change(self, path: Path, before: str, after: str) -> Change:
        return Change(self.shown(path), before, after)

    def save(self, change: Change) -> None:
        """In one step: whoever reads the file has all of the old or all of the new one.

        Raises Forbidden, Conflict where the file is another one by now, or cannot be written.
        """
        path = self.place(change.path)
        if self.read(path) != change.before:
            raise Conflict(f"{change.path} was changed meanwhile: look at it again")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, change.after)
        except OSError as error:
            raise Conflict(f"{change.path} cannot be written: {error.strerror}") from error


def _stories_in(text: str) -> int:
    """Counted as text: a file that is not well-formed is still its author's."""
    return len(_STORY.findall(text)) or 1 if _STORIES.search(text) else 0


def _replace(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
