"""Rasa's REST API for what is loaded: its status, its domain, and what it understands of a text."""

import aiohttp
import yaml
from support.gateway import Behind
from support.rest import ask


async def test_text_is_parsed(http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, "POST", "/model/parse", json={"text": "hi"})
    assert status == 200
    assert (answer["text"], answer["intent"]) == ("hi", {"name": "greet", "confidence": 0.5})
    assert answer["text_tokens"] == [[0, 2]]
    assert not {"message_id", "metadata"} & set(answer)
    assert (await ask(http, "POST", "/model/parse", json={}))[0] == 400
    status, answer = await ask(http, "POST", "/model/parse", json={"text": "down"})
    assert (status, answer["message"]) == (503, "nlu: no model server")


async def test_text_is_parsed_in_the_words_of_another_service(http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, "POST", "/model/parse?emulation_mode=luis", json={"text": "hi"})
    assert (status, answer["prediction"]["topIntent"]) == (200, "greet")
    status, answer = await ask(http, "POST", "/model/parse?emulation_mode=siri", json={"text": "hi"})
    assert (status, answer["details"]["parameter"]) == (400, "emulation_mode")
    assert answer["message"].endswith("Should be one of 'WIT', 'LUIS', 'DIALOGFLOW'.")


async def test_domain_as_json_and_as_yaml(http: aiohttp.ClientSession) -> None:
    assert (await ask(http, "GET", "/domain"))[1]["intents"] == [{"greet": {"use_entities": []}}]
    async with http.get("/domain", headers={"Accept": "application/x-yaml"}) as response:
        assert yaml.safe_load(await response.text())["version"] == "3.1"
    status, answer = await ask(http, "GET", "/domain", headers={"Accept": "image/png"})
    assert (status, answer["reason"]) == (406, "NotAcceptable")


async def test_status_names_the_model_and_what_is_missing(behind: Behind, http: aiohttp.ClientSession) -> None:
    _, answer = await ask(http, "GET", "/status")
    assert answer == {"model_id": "m", "model_file": "/models/7", "num_active_training_jobs": 0}
    behind.bundles.remove("7")
    status, answer = await ask(http, "GET", "/status")
    assert (status, answer["message"]) == (409, "no assistant is loaded")
