"""Channels of `credentials.yml` on a running assistant."""

import json
from pathlib import Path

import aiohttp
import socketio
from support.commands import RunningAssistant
from support.servers import recording_server

OWN = """
from aiohttp import web
from turnstream.gateway.channel import Channel, UserSaid


class Loud(Channel):
    name = "loud"

    @classmethod
    def from_credentials(cls, credentials):
        return cls()

    def routes(self, conversations):
        async def receive(request):
            self.said = ""
            await conversations.take(UserSaid("ada", await request.text()))
            return web.Response(text=self.said.upper())

        yield "POST", "/webhooks/loud/webhook", receive

    async def deliver(self, said):
        self.said = said.messages[0]["text"]
"""

REMINDER = {"event": "reminder", "intent": "greet", "name": "r", "date_time": "2020-01-01T00:00:00", "entities": None}
"""Its time has come long ago."""


async def test_the_channels_of_a_project_are_open(project: Path) -> None:
    (project / "loud.py").write_text(OWN, encoding="utf-8")
    async with recording_server() as theirs, aiohttp.ClientSession() as http:
        credentials = f"rest:\nloud.Loud:\nsocketio:\ncallback:\n  url: {theirs.url}/bot\n"
        (project / "credentials.yml").write_text(credentials, encoding="utf-8")
        with RunningAssistant(cwd=project) as assistant:
            url = assistant.ready().url
            async with http.post(f"{url}/webhooks/callback/webhook", json={"sender": "a", "message": "hi"}) as answer:
                assert await answer.text() == "success"
            posted = await theirs.next()
            assert json.loads(posted.body) == {"recipient_id": "a", "text": "Hello, I am small."}
            path = "/conversations/a/tracker/events?execute_side_effects=true&output_channel=callback"
            async with http.post(f"{url}{path}", json=REMINDER) as answer:
                assert answer.status == 200
            posted = await theirs.next()
            assert json.loads(posted.body) == {"recipient_id": "a", "text": "Hello, I am small."}
            async with http.post(f"{url}/webhooks/loud/webhook", data="hi") as answer:
                assert await answer.text() == "HELLO, I AM SMALL."
            async with socketio.AsyncSimpleClient() as widget:
                await widget.connect(url, transports=["websocket"])
                await widget.emit("user_uttered", {"message": "hi"})
                assert await widget.receive(timeout=30) == ["bot_uttered", {"text": "Hello, I am small."}]
            assert assistant.stop() == 0
            assert assistant.errors == ""
