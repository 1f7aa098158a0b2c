"""Numbers, times, amounts of money and the like, found by a Duckling server over HTTP.

Behaviour: https://rasa.com/docs/rasa/components#ducklingentityextractor; the server's protocol:
https://github.com/facebook/duckling.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from turnstream.assistant.components import DucklingEntityExtractorOptions
from turnstream.dialogue.events import ExtractedEntity
from turnstream.nlu.understanding import Outside, Understanding
from turnstream.runtime.logs import texts

if TYPE_CHECKING:
    import aiohttp

_LOG = logging.getLogger(__name__)
_MAX_ANSWER_BYTES = 4 * 1024 * 1024


class _Unusable(ValueError):
    """An answer that cannot be used; `quoted`, its beginning, may hold what the user said."""

    def __init__(self, what: str, quoted: str) -> None:
        super().__init__(what)
        self.quoted = quoted


class DucklingEntityExtractor:
    """A server that is away, slow or wrong is logged and finds no entities: the message goes on without."""

    def __init__(self, options: DucklingEntityExtractorOptions, language: str) -> None:
        self._options = options
        self._locale = options.locale or f"{language}_{language.upper()}"

    async def process(self, message: Understanding, outside: Outside) -> Understanding:
        url = outside.duckling_url or self._options.url
        if not url:
            _LOG.warning("DucklingEntityExtractor has no 'url' in the config: no entities are extracted")
            return message
        matches = await self._ask(f"{url.rstrip('/')}/parse", message.text, int(outside.now()) * 1000)
        return message.with_entities(self._entities(matches))

    async def _ask(self, url: str, text: str, reference_time_ms: int) -> Sequence[Any]:
        # Imported here because it costs 0.2 s and 20 MB that an assistant without Duckling need not pay.
        import aiohttp

        try:
            timeout = aiohttp.ClientTimeout(total=self._options.timeout)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                return await self._post(session, url, text, reference_time_ms)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            what, said = str(error) or type(error).__name__, getattr(error, "quoted", "")
            _LOG.error(
                "the Duckling server at %s failed, so its entities are missing: %s", url, what, extra=texts(quoted=said)
            )
            return []

    async def _post(
        self, session: "aiohttp.ClientSession", url: str, text: str, reference_time_ms: int
    ) -> Sequence[Any]:
        form = {
            "text": text,
            "locale": self._locale,
            "dims": json.dumps(self._options.dimensions),
            "reftime": str(reference_time_ms),
        }
        if self._options.timezone:
            form["tz"] = self._options.timezone
        async with session.post(url, data=form) as response:
            body = await _read(response.content)
            if response.status != 200:
                raise _Unusable(f"status {response.status}", body[:200].decode("utf-8", "replace"))
        found = json.loads(body)
        if not isinstance(found, list):
            raise _Unusable(f"a list was expected, not {type(found).__name__}", str(found)[:200])
        return found

    def _entities(self, matches: Sequence[Any]) -> list[ExtractedEntity]:
        entities = []
        for match in matches:
            try:
                entity = self._entity(match)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                what, said = type(error).__name__, texts(found=str(match)[:200])
                _LOG.error("the Duckling server found something that makes no sense (%s)", what, extra=said)
                continue
            if not self._options.dimensions or entity.entity in self._options.dimensions:
                entities.append(entity)
        return entities

    def _entity(self, match: Mapping[str, Any]) -> ExtractedEntity:
        found: Mapping[str, Any] = match["value"]
        return ExtractedEntity(
            entity=str(match["dim"]),
            value=_value(found),
            start=int(match["start"]),
            end=int(match["end"]),
            extractor=self._options.component_name,
            # Rasa writes `confidence` here where other extractors write `confidence_entity`.
            extras={"text": match.get("body", match.get("text")), "confidence": 1.0, "additional_info": found},
        )


async def _read(content: "aiohttp.StreamReader") -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            raise ValueError(f"an answer of more than {_MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _value(found: Mapping[str, Any]) -> Any:
    if found.get("type") != "interval":
        return found.get("value")
    return {key: (found.get(key) or {}).get("value") for key in ("to", "from")}
