"""Logging of a process: plain lines for people or JSON lines for machines, with conversation, turn and trace.

What users and bots say is personal data: it is in no line, unless `log.message_texts` allows the lines that have it.
"""

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from turnstream.runtime.tracing import current_trace_id

_CONVERSATION: ContextVar[str] = ContextVar("conversation_id", default="")
_TURN: ContextVar[str] = ContextVar("turn", default="")
_NOISY = ("grpc", "aiohttp.access", "asyncio", "kafka", "tensorflow", "opentelemetry")
_TEXTS = "texts"

_message_texts = False


@contextmanager
def log_context(*, conversation_id: str = "", turn: str = "") -> Iterator[None]:
    """Everything logged inside carries these; `turn` is the id of the message that the turn answers."""
    tokens = (_CONVERSATION.set(conversation_id or _CONVERSATION.get()), _TURN.set(turn or _TURN.get()))
    try:
        yield
    finally:
        _CONVERSATION.reset(tokens[0])
        _TURN.reset(tokens[1])


def texts(**said: Any) -> Mapping[str, Any]:
    """For `extra=` of a log call: what was said, by whom. The line has it only where `log.message_texts` allows it."""
    return {_TEXTS: said}


def _said(record: logging.LogRecord) -> Mapping[str, Any]:
    said: Mapping[str, Any] = getattr(record, _TEXTS, {}) if _message_texts else {}
    return said


def _ids() -> dict[str, str]:
    ids = {"conversation_id": _CONVERSATION.get(), "turn": _TURN.get(), "trace_id": current_trace_id()}
    return {k: v for k, v in ids.items() if v}


class PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        fields = "".join(f" {k}={v}" for k, v in _ids().items())
        said = "".join(f" {k}={v!r}" for k, v in _said(record).items())
        text = f"{stamp} {record.levelname:<7} {record.name}{fields} {record.getMessage()}{said}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_ids(),
            **_said(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def setup_logging(
    level: str = "info", *, as_json: bool = False, message_texts: bool = False, stream: TextIO | None = None
) -> None:
    """Configure the root logger of this process. Raises ValueError for an unknown level."""
    global _message_texts
    numeric = logging.getLevelNamesMapping().get(level.upper())
    if numeric is None:
        raise ValueError(f"unknown log level {level!r}: use debug, info, warning, error or critical")
    _message_texts = message_texts
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(numeric)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(max(numeric, logging.WARNING))


@contextmanager
def debug_on_signal() -> Iterator[None]:
    """Inside it SIGUSR2 makes the process log everything, and once more what it logged before. Needs a running loop."""
    root = logging.getLogger()
    usual = root.level

    def change() -> None:
        root.setLevel(logging.DEBUG if root.level == usual else usual)
        root.log(max(root.level, logging.WARNING), "the log level is now %s", logging.getLevelName(root.level).lower())

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR2, change)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGUSR2)
        root.setLevel(usual)
