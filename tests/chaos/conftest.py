from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from turnstream.testing.chaos.stage import KafkaStage
from turnstream.testing.kafka_broker import KafkaBroker


@pytest.fixture
async def kafka_stage(kafka_broker: KafkaBroker, tmp_path: Path) -> AsyncIterator[KafkaStage]:
    """On the broker of all tests. What kills the broker must be alone on it."""
    stage = KafkaStage(tmp_path, shared=kafka_broker, fragile=kafka_broker)
    yield stage
    await stage.close()
