"""DucklingEntityExtractor against the real Duckling, and against servers that fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from support.duckling import real_duckling
from turnstream.assistant.components import DucklingEntityExtractorOptions, WhitespaceTokenizerOptions
from turnstream.assistant.domain import Domain
from turnstream.assistant.nlu_data import NluData
from turnstream.dialogue.events import ExtractedEntity
from turnstream.dialogue.rasa_json import entity_to_rasa
from turnstream.features.pipeline import FeaturePipeline
from turnstream.nlu.duckling import DucklingEntityExtractor
from turnstream.nlu.understanding import Outside, Understanding
from turnstream.testing.fake_models import FakeModels

PIPELINE = FeaturePipeline.fit([WhitespaceTokenizerOptions()], NluData(), Domain())
NOW = 1_700_000_000.9


@asynccontextmanager
async def http_server(handle: Any) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/parse", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def extracted(
    text: str, url: str, options: DucklingEntityExtractorOptions | None = None
) -> tuple[ExtractedEntity, ...]:
    extractor = DucklingEntityExtractor(options or DucklingEntityExtractorOptions(url=url), "en")
    message = Understanding(text, (), PIPELINE.featurize(text).features)
    return (await extractor.process(message, Outside(FakeModels(), now=lambda: NOW))).entities


async def test_the_real_duckling_gives_what_rasa_recorded() -> None:
    async with real_duckling() as url:
        options = DucklingEntityExtractorOptions(url=url, dimensions=("number",))
        (number,) = await extracted("for 4 people", url, options)
        assert entity_to_rasa(number) == {
            "start": 4,
            "end": 5,
            "text": "4",
            "value": 4,
            "confidence": 1.0,
            "additional_info": {"type": "value", "value": 4},
            "entity": "number",
            "extractor": "DucklingEntityExtractor",
        }
        (minus,) = await extracted("for minus two people", url, options)
        assert (minus.value, minus.start, minus.end) == (-2, 4, 13)
        assert await extracted("nothing here", url, options) == ()


async def test_an_interval_becomes_its_two_ends() -> None:
    async with real_duckling() as url:
        options = DucklingEntityExtractorOptions(url=url, dimensions=("time",), timezone="UTC", locale="en_US")
        (time,) = await extracted("from 3pm to 5pm", url, options)
        assert set(time.value) == {"to", "from"}
        # The reference time is 14 November 2023, 22:13 UTC: the next afternoon.
        assert time.value["from"].startswith("2023-11-15T15:00")


async def test_what_is_asked_is_a_form_with_locale_dimensions_and_time_in_ms() -> None:
    asked: dict[str, str] = {}

    async def handle(request: web.Request) -> web.Response:
        asked.update({key: str(value) for key, value in (await request.post()).items()})
        return web.json_response([{"dim": "time", "start": 0, "end": 1, "body": "x", "value": {"value": 1}}])

    async with http_server(handle) as url:
        options = DucklingEntityExtractorOptions(url=url + "/", dimensions=("number",), timezone="Europe/Berlin")
        assert await extracted("für x", url, options) == ()
    assert asked == {
        "text": "für x",
        "locale": "en_EN",
        "dims": '["number"]',
        "reftime": "1700000000000",
        "tz": "Europe/Berlin",
    }


SAID = "my number is 12345"


async def quote_500(_: web.Request) -> web.Response:
    return web.Response(status=500, text=SAID)


async def quote_object(_: web.Request) -> web.Response:
    return web.json_response({"body": SAID})


async def quote_nonsense(_: web.Request) -> web.Response:
    return web.json_response([{"dim": "n", "body": SAID, "start": SAID, "end": 1, "value": {}}])


@pytest.mark.parametrize("handle", [quote_500, quote_object, quote_nonsense])
async def test_what_a_server_quotes_of_a_message_is_in_no_log(handle: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with http_server(handle) as url:
        assert await extracted(SAID, url) == ()
    assert "Duckling server" in caplog.text
    assert SAID not in caplog.text


async def answer_500(_: web.Request) -> web.Response:
    return web.Response(status=500, text="broken")


async def answer_html(_: web.Request) -> web.Response:
    return web.Response(text="<html>")


async def answer_object(_: web.Request) -> web.Response:
    return web.json_response({"error": "no"})


async def answer_nonsense(_: web.Request) -> web.Response:
    return web.json_response([1, {"dim": "number"}, {"dim": "n", "start": "a", "end": 1, "value": {}}])


async def answer_late(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


@pytest.mark.parametrize("handle", [answer_500, answer_html, answer_object, answer_nonsense, answer_late])
async def test_a_server_that_fails_is_logged_and_finds_nothing(handle: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with http_server(handle) as url:
        options = DucklingEntityExtractorOptions(url=url, timeout=0.2)
        assert await extracted("two", url, options) == ()
    assert "Duckling" in caplog.text


async def test_a_server_that_is_away_is_logged_and_finds_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with http_server(answer_500) as url:
        pass
    assert await extracted("two", url) == ()
    assert url in caplog.text


async def test_without_a_url_nothing_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    assert await extracted("two", "", DucklingEntityExtractorOptions()) == ()
    assert "no 'url'" in caplog.text
