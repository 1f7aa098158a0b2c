"""`turnstream run --inspect` in a project's folder."""

import json
from pathlib import Path

import aiohttp
from support.commands import RunningAssistant
from support.inspected import turns_from


async def test_the_page_is_named_with_its_token_and_writes_the_projects_files(project: Path) -> None:
    with RunningAssistant("--inspect", "--data", "data", "--auth-token", "a&b", cwd=project) as assistant:
        assistant.ready()
        (page,) = [line.split()[1] for line in assistant.lines if line.startswith("  inspector ")]
        assert page == f"{assistant.url}/inspector/?token=a%26b"
        async with aiohttp.ClientSession(assistant.url) as http:
            said = {"sender": "ada", "message": "hello", "message_id": "m1"}
            async with http.get("/webhooks/chat/turns?sender=ada") as stream:
                async with http.post("/webhooks/chat/messages", json=said) as accepted:
                    assert accepted.status == 202
                ((_, turn),) = await turns_from(stream, 1)
            assert turn["text"] == "hello"
            api, token = "/inspector/api/conversations/ada", {"token": "a&b"}
            async with http.get(f"{api}/turns/1/explanation", params=token) as response:
                explanation = json.loads(await response.text())
            assert [a["source"] for a in explanation["actions"] if a["predictions"]] == ["greet", "greet"]
            body = {"turn": 1, "name": "hello", "save": True}
            async with http.post(f"{api}/story", params=token, json=body) as response:
                assert response.status == 200
            assert "story: hello" in (project / "tests/test_stories.yml").read_text(encoding="utf-8")
        assert assistant.stop() == 0
        assert assistant.errors == ""
