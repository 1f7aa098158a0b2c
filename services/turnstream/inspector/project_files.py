"""Files of an author's project, read and replaced; nothing outside of the project's folder."""

import difflib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from turnstream.assistant.files import SUFFIXES, data_files, is_test_file
from turnstream.assistant.reader import ProjectPaths
from turnstream.runtime.errors import Conflict, Forbidden, InvalidRequest

MAX_FILE_BYTES = 16 * 1024 * 1024


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
    """Of the project in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def nlu_files(self) -> list[Path]:
        """Those with training data, sorted."""
        return [path for path in self._data_files() if not is_test_file(path)]

    def _data_files(self) -> list[Path]:
        data = ProjectPaths.default(self._root).data
        # A folder may be linked from elsewhere: what is outside is not the author's to change from here.
        return [path for path in data_files(p for p in data if p.exists()) if self._is_inside(path)]

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
