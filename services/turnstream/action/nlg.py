"""Responses worded by an outside NLG server (`nlg` in endpoints.yml): https://rasa.com/docs/rasa/nlg."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from turnstream.action.action_server import sendable
from turnstream.action.failures import ActionFailed
from turnstream.action.messages import UTTER_ACTION
from turnstream.action.responses import eligible
from turnstream.action.scene import Scene
from turnstream.action.settings import basic_auth, texts_of, token_of
from turnstream.assistant.config import Endpoint
from turnstream.assistant.domain import Domain
from turnstream.dialogue.rasa_json import event_to_rasa, tracker_to_rasa

OWN: Final = "response"
TYPES: Final[Mapping[str, type]] = {
    "text": str,
    "id": str,
    "image": str,
    "buttons": list,
    "quick_replies": list,
    "elements": list,
    "attachment": dict,
    "metadata": dict,
}
"""Of the keys of an answer; each may be null."""
MAX_ANSWER_BYTES: Final = 2 * 1024 * 1024
IDLE_CONNECTION_S: Final = 4.0
ATTEMPTS: Final = 3
FIRST_PAUSE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class NlgSettings:
    """`headers` and `params` are sent with each request; `timeout_s` bounds one response, retries included."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    params: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 60.0


def nlg_settings(endpoint: Endpoint | None, timeout_s: float) -> NlgSettings | None:
    """None where the domain's own responses are said: without the section, and for `type: response`."""
    if endpoint is None or endpoint.type == OWN or not endpoint.url:
        return None
    options = endpoint.options
    headers = (*texts_of(options.get("headers")), *basic_auth(options.get("basic_auth")))
    own = options.get("timeout_s")
    limit_s = min(float(own), timeout_s) if isinstance(own, int | float) else timeout_s
    return NlgSettings(endpoint.url, headers, (*texts_of(options.get("params")), *token_of(options)), limit_s)


class NlgServer:
    """One for a process; keeps connections open between calls. Wording a response has no effect: it is tried again."""

    def __init__(self, settings: NlgSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    def responses(self, domain: Domain) -> "NlgResponses":
        return NlgResponses(self, domain)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, name: str, body: Mapping[str, Any], deadline: float | None = None) -> Any:
        """The answer to a request for the response `name`, as JSON has it; None where it is empty.

        `deadline` is in the event loop's time. Raises ActionFailed.
        """
        url, now = self._settings.url, asyncio.get_running_loop().time()
        limit_s = self._settings.timeout_s if deadline is None else min(self._settings.timeout_s, deadline - now)
        try:
            async with asyncio.timeout(limit_s):
                content = await self._post(json.dumps(body, ensure_ascii=False).encode())
            return answer_read(content)
        except TimeoutError as error:
            raise ActionFailed(name, f"the NLG server at {url} took longer than {max(limit_s, 0):.3g} s") from error
        except aiohttp.ClientResponseError as error:
            raise ActionFailed(name, f"the NLG server at {url} answered with status {error.status}") from error
        except aiohttp.ClientError as error:
            raise ActionFailed(name, f"no NLG server answers at {url}: {error!r}; is it running?") from error
        except ValueError as error:
            raise ActionFailed(name, f"the answer of the NLG server at {url} is no JSON: {error}") from error

    async def _post(self, body: bytes) -> bytes:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError)),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=FIRST_PAUSE_S),
            reraise=True,
        )
        return await retrying(self._post_once, body)

    async def _post_once(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", **dict(self._settings.headers)}
        async with self._open_session().post(
            self._settings.url,
            data=body,
            headers=headers,
            params=self._settings.params or None,
            raise_for_status=True,
        ) as response:
            content = await response.content.read(MAX_ANSWER_BYTES + 1)
            while len(content) <= MAX_ANSWER_BYTES and (more := await response.content.read(MAX_ANSWER_BYTES)):
                content += more
        if len(content) > MAX_ANSWER_BYTES:
            raise ValueError(f"it is larger than {MAX_ANSWER_BYTES} bytes")
        return content

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # The call as a whole has its own limit; aiohttp's would only hide it.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_S),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session


class NlgResponses:
    """A `ResponseGenerator` that asks the server for every response."""

    def __init__(self, server: NlgServer, domain: Domain) -> None:
        self._server = server
        self._responses = domain.responses

    async def generate(self, name: str, scene: Scene, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """Raises ActionFailed where the server does not answer, or with what is no message."""
        request = {
            "response": name,
            "id": self._variation_id(name, scene),
            "arguments": dict(arguments),
            "tracker": {**tracker_to_rasa(scene.tracker), "events": [event_to_rasa(event) for event in scene.events]},
            "channel": {"name": scene.channel},
        }
        answer = await self._server.ask(name, request, scene.deadline)
        if answer is None or answer == "":
            return None
        return checked(name, answer) | {UTTER_ACTION: name}

    def _variation_id(self, name: str, scene: Scene) -> str | None:
        """The id of the first variation of the domain that would fit, as Rasa chooses it."""
        variations = eligible(self._responses.get(name, ()), scene.tracker.slots, scene.channel)
        return variations[0].id if variations else None


def answer_read(content: bytes) -> Any:
    """The JSON of an answer; None where it is empty. Raises ValueError."""
    try:
        return json.loads(content) if content.strip() else None
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def checked(name: str, answer: Any) -> dict[str, Any]:
    """The message. Raises ActionFailed where no channel could send it."""
    try:
        answer = sendable(answer)
    except ValueError as error:
        raise ActionFailed(name, f"the NLG server's answer cannot be used: {error}") from error
    if not isinstance(answer, Mapping):
        raise ActionFailed(name, f"the NLG server's answer is no JSON object but {type(answer).__name__}")
    for key, wanted in TYPES.items():
        value = answer.get(key)
        if value is not None and not isinstance(value, wanted):
            found = type(value).__name__
            raise ActionFailed(name, f"the NLG server's answer: {key!r} must be a {wanted.__name__}, not a {found}")
    return {key: value for key, value in answer.items() if value is not None}
