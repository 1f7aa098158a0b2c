"""The gRPC service `Nlu`."""

from typing import Any

import grpc.aio

from turnstream.api.v1 import events_pb2, nlu_pb2, nlu_pb2_grpc
from turnstream.dialogue.proto import parse_to_proto
from turnstream.dialogue.values import map_from_proto
from turnstream.features.pipeline import FeaturizedText
from turnstream.features.proto import features_to_proto
from turnstream.nlu.loaded import LoadedNlu
from turnstream.nlu.understanding import Outside
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import InvalidRequest

MAX_TEXT_BYTES = 64 * 1024
MAX_TEXTS = 1024

Context = grpc.aio.ServicerContext[Any, Any]


class NluService(nlu_pb2_grpc.NluServicer):
    """`max_text_bytes` is the longest text that is taken, in UTF-8."""

    def __init__(self, bundles: Bundles[LoadedNlu], outside: Outside, *, max_text_bytes: int = MAX_TEXT_BYTES) -> None:
        self._bundles = bundles
        self._outside = outside
        self._max_text_bytes = max_text_bytes

    async def Parse(self, request: nlu_pb2.ParseRequest, context: Context) -> nlu_pb2.ParseResponse:
        self._check(request.text, "text")
        version = request.bundle_version or self._bundles.stable
        loaded = self._bundles.get(version)
        parsed = await loaded.parse(
            request.text,
            self._outside,
            message_id=request.message_id or None,
            metadata=map_from_proto(request.metadata),
        )
        return nlu_pb2.ParseResponse(
            parse_data=parse_to_proto(parsed.parse),
            features=features_to_proto(parsed.features) if parsed.features is not None else None,
            bundle_version=version,
        )

    async def Featurize(self, request: nlu_pb2.FeaturizeRequest, context: Context) -> nlu_pb2.FeaturizeResponse:
        if len(request.texts) > MAX_TEXTS:
            raise InvalidRequest(f"'texts' has {len(request.texts)} texts; {MAX_TEXTS} at most are taken in one call")
        for number, text in enumerate(request.texts):
            self._check(text, f"texts[{number}]")
        version = request.bundle_version or self._bundles.stable
        loaded = self._bundles.get(version)
        texts = [_text_to_proto(loaded.featurize(text)) for text in request.texts]
        return nlu_pb2.FeaturizeResponse(texts=texts, bundle_version=version)

    def _check(self, text: str, field: str) -> None:
        size = len(text.encode())
        if size > self._max_text_bytes:
            raise InvalidRequest(f"'{field}' has {size} bytes; {self._max_text_bytes} at most are taken")


def _text_to_proto(featurized: FeaturizedText) -> nlu_pb2.FeaturizedText:
    tokens = [events_pb2.TextSpan(start=token.start, end=token.end) for token in featurized.tokens]
    return nlu_pb2.FeaturizedText(tokens=tokens, features=features_to_proto(featurized.features))
