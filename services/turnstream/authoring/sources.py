"""The Python files of a project: custom actions may use what no story names."""

import os
import re
from pathlib import Path

MAX_FILE_BYTES = 1024 * 1024
LEFT_OUT = frozenset({"node_modules", "models", "results", "venv", "site-packages", "__pycache__"})
_SDK = re.compile(r"^\s*(from|import)\s+rasa_sdk", re.MULTILINE)
_NAME = re.compile(r"\w+")


class ActionSources:
    """The words of a project's Python files. `are_here`: some of them are custom actions."""

    def __init__(self, root: Path) -> None:
        texts = [text for path in _python_files(root) if (text := _text(path))]
        self.are_here = any(_SDK.search(text) for text in texts)
        self._text = "\n".join(texts)
        self._names = frozenset(_NAME.findall(self._text))

    def mention(self, name: str) -> bool:
        """Whether the name stands in some file, as a word where it is one."""
        return name in self._names if _NAME.fullmatch(name) else name in self._text


def _python_files(root: Path) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT and not name.startswith("."))
        found += [Path(folder, name) for name in sorted(files) if name.endswith(".py")]
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.stat().st_size <= MAX_FILE_BYTES else ""
    except OSError:
        return ""
