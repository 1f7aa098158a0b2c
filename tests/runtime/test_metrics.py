import asyncio
import json
import os
import re
import signal
import socket
import urllib.request
from pathlib import Path

import pytest
from turnstream.runtime.metrics import TIMINGS_FOLDER, TimingsFile, step_totals, timed, write_timings_on_signal
from turnstream.runtime.process import observed
from turnstream.runtime.server import PortTaken
from turnstream.runtime.settings import Settings, load_settings


def on_port(port: int) -> Settings:
    return load_settings(environment={}, overrides={"metrics.port": port})


def test_a_step_is_counted_and_timed() -> None:
    count, total_s = step_totals().get("test", (0, 0.0))
    with timed("test"), timed("test"):
        pass
    assert step_totals()["test"][0] == count + 2
    assert step_totals()["test"][1] > total_s


async def test_a_process_serves_its_metrics(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with timed("test"):
        pass
    async with observed(on_port(0), "test"):
        (url,) = re.findall(r"http://\S+", caplog.text)
        content = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
    assert 'turnstream_step_seconds_count{step="test"}' in content
    assert "process_resident_memory_bytes" in content
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(urllib.request.urlopen, url)


async def test_no_metrics_are_served_unless_a_port_is_set(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with observed(Settings(), "test"):
        assert "metrics on" not in caplog.text


async def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} .* TURNSTREAM_METRICS_PORT"):
            async with observed(on_port(port), "test"):
                pass


def test_a_timings_file_holds_what_was_timed_since_the_last_one(tmp_path: Path) -> None:
    cpu = iter((1.5, 2.0, 2.5))
    totals = iter(({"a": (1, 0.25)}, {"a": (1, 0.25)}, {"a": (3, 1.25), "b": (1, 0.5)}))
    file = TimingsFile(tmp_path / "1.json", lambda: next(totals), lambda: next(cpu))
    contents = []
    for _ in range(3):
        file.write()
        contents.append(json.loads((tmp_path / "1.json").read_text()))
    assert [c["number"] for c in contents] == [0, 1, 2]
    assert [c["cpu_s"] for c in contents] == [1.5, 0.5, 0.5]
    assert [c["timings"] for c in contents] == [
        {"a": {"count": 1, "total_s": 0.25}},
        {},
        {"a": {"count": 2, "total_s": 1.0}, "b": {"count": 1, "total_s": 0.5}},
    ]


async def test_a_signal_writes_the_timings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMINGS_FOLDER, str(tmp_path))
    write_timings_on_signal()
    loop = asyncio.get_running_loop()
    file = tmp_path / f"{os.getpid()}.json"
    try:
        assert json.loads(file.read_text())["number"] == 0
        os.kill(os.getpid(), signal.SIGUSR1)
        async with asyncio.timeout(10):
            while json.loads(file.read_text())["number"] != 1:  # noqa: ASYNC110
                await asyncio.sleep(0)
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
    assert json.loads(file.read_text())["number"] == 1
