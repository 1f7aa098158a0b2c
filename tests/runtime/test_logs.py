import asyncio
import io
import json
import logging
import os
import signal
from collections.abc import Iterator

import pytest
from turnstream.runtime.logs import debug_on_signal, log_context, setup_logging, texts
from turnstream.runtime.tracing import in_trace

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    setup_logging("info")
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_carry_conversation_turn_and_trace() -> None:
    out = io.StringIO()
    setup_logging("info", as_json=True, stream=out)
    with log_context(conversation_id="c1", turn="m1"), log_context(turn="m2"), in_trace(f"00-{TRACE_ID}-{'1' * 16}-01"):
        logging.getLogger("x").info("handled in %d ms", 3)
    logging.getLogger("x").debug("not shown")
    (line,) = out.getvalue().splitlines()
    fields = json.loads(line)
    assert (fields["conversation_id"], fields["turn"], fields["trace_id"]) == ("c1", "m2", TRACE_ID)
    assert (fields["message"], fields["level"]) == ("handled in 3 ms", "info")


@pytest.mark.parametrize("as_json", [True, False])
def test_what_was_said_is_logged_only_where_that_is_allowed(as_json: bool) -> None:
    for allowed in (False, True):
        out = io.StringIO()
        setup_logging("info", as_json=as_json, message_texts=allowed, stream=out)
        logging.getLogger("x").info("turn 1", extra=texts(user="my secret", bot=["I keep it"]))
        assert ("my secret" in out.getvalue(), "I keep it" in out.getvalue()) == (allowed, allowed)
        assert "turn 1" in out.getvalue()


def test_plain_lines_show_the_exception() -> None:
    out = io.StringIO()
    setup_logging("warning", stream=out)
    try:
        raise ValueError("what")
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert "ERROR   x failed" in out.getvalue()
    assert "ValueError: what" in out.getvalue()


def test_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown log level 'loud'"):
        setup_logging("loud")


async def test_a_signal_turns_debugging_on_and_off() -> None:
    out = io.StringIO()
    setup_logging("warning", stream=out)
    changed = asyncio.Event()
    logging.getLogger().handlers[0].addFilter(lambda record: changed.set() or True)
    with debug_on_signal():
        for level in (logging.DEBUG, logging.WARNING):
            changed.clear()
            os.kill(os.getpid(), signal.SIGUSR2)
            await asyncio.wait_for(changed.wait(), 10)
            assert logging.getLogger().level == level
            logging.getLogger("x").debug("seen at %d", level)
    lines = [line.split(" ", 3)[3].strip() for line in out.getvalue().splitlines()]
    assert lines == ["root the log level is now debug", "x seen at 10", "root the log level is now warning"]
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL
