"""The Kafka turn log keeps the contract of every turn log, on a real broker."""

from dataclasses import replace

import pytest
from support.kafka import NOTICED_SOON_S, kafka_settings
from turnstream.testing.kafka_broker import KafkaBroker
from turnstream.testing.turnlog_contract import TurnLogContract
from turnstream.turnlog.interface import TurnLog
from turnstream.turnlog.kafka.log import KafkaTurnLog


class TestKafkaTurnLog(TurnLogContract):
    @pytest.fixture(autouse=True)
    def _a_prefix(self, kafka_broker: KafkaBroker) -> None:
        self.settings = kafka_settings(kafka_broker, NOTICED_SOON_S)
        self.logs: list[KafkaTurnLog] = []

    async def open_log(self, *, max_unanswered: int = 1000) -> TurnLog:

        self.logs.append(KafkaTurnLog(replace(self.settings, max_unanswered=max_unanswered)))
        return self.logs[-1]

    async def crash(self, log: TurnLog) -> None:
        assert isinstance(log, KafkaTurnLog)
        await log.abandon()

    async def shut(self) -> None:
        for log in self.logs:
            await log.close()
