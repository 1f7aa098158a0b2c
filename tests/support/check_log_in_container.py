"""Run inside the network of the containers: reads the whole log; JSON of what is wrong with it on the last line.

Standard input: a list of [conversation, message, texts], what clients were told.
"""

import asyncio
import json
import sys

from turnstream.cli.turn_logs import open_turn_log
from turnstream.runtime.settings import load_settings
from turnstream.turnlog.checker import Witness, check_log
from turnstream.turnlog.interface import Undecodable


async def main() -> None:
    told = {(conversation, message): texts for conversation, message, texts in json.load(sys.stdin)}
    log = open_turn_log(load_settings(overrides={"turn_log.kind": "kafka"}))
    try:
        faults = [str(fault) for fault in await check_log(log, witness=Witness(acknowledged=tuple(told)))]
        texts, versions = {}, {}
        async for entry in log.read_turns():
            if isinstance(entry, Undecodable):
                continue
            turn = entry.record
            key = (turn.conversation_id, turn.message_id)
            texts[key] = [reply.text for reply in turn.replies]
            versions.setdefault(turn.bundle_version, 0)
            versions[turn.bundle_version] += 1
    finally:
        await log.close()
    otherwise = [f"{key}: told {told[key]}, committed {texts.get(key)}" for key in told if texts.get(key) != told[key]]
    json.dump({"turns": len(texts), "versions": versions, "faults": faults, "otherwise": otherwise}, sys.stdout)


asyncio.run(main())
