"""Custom actions of a Python module, run in this process (`action_endpoint.actions_module`).

https://rasa.com/docs/reference/primitives/custom-actions, "Running Custom Actions Directly by the Assistant".
"""

import asyncio
import importlib
import json
import logging
import traceback
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from turnstream.action.action_server import ActionAnswer, ActionRequest, ActionServerSettings, answer_from
from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.action.server_client import request_body

logger = logging.getLogger(__name__)

MAX_AT_ONCE: Final = 32
"""Actions that run at the same time; further ones wait."""


class ModuleActionServer:
    """Runs each action in a thread and event loop of its own, so that one that blocks holds up nothing else.

    A module that cannot be loaded makes every action fail with the reason.
    """

    def __init__(self, settings: ActionServerSettings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="action")
        self._actions: Mapping[str, Any] = {}
        self._trouble = ""
        try:
            self._actions = _load(settings.module)
        except (Exception, SystemExit) as error:  # The SDK exits where a submodule cannot be imported.
            self._trouble = f"action_endpoint.actions_module '{settings.module}' cannot be loaded: {error!r}"
            logger.error("%s", self._trouble)

    async def call(self, request: ActionRequest, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        action = request.action
        if self._trouble:
            raise ActionFailed(action, self._trouble)
        if action not in self._actions:
            raise ActionFailed(action, f"the module '{self._settings.module}' has no such action")
        loop = asyncio.get_running_loop()
        limit_s = self._settings.limit_s(action, loop.time(), deadline)
        # Actions may change what they are given: each is given its own.
        asked = json.loads(request_body(request, with_domain=True))
        try:
            async with asyncio.timeout(limit_s):
                return answer_from(action, await loop.run_in_executor(self._threads, self._run, asked))
        except TimeoutError as error:
            raise ActionFailed(action, f"it took longer than {max(limit_s, 0):.3g} s") from error

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, asked: dict[str, Any]) -> dict[str, Any]:
        from rasa_sdk.executor import ActionExecutor
        from rasa_sdk.interfaces import ActionExecutionRejection

        executor = ActionExecutor()
        executor.actions = dict(self._actions)
        action = str(asked["next_action"])
        try:
            result = asyncio.run(executor.run(asked))
        except ActionExecutionRejection as rejection:
            raise ActionRejected(rejection.action_name, rejection.message) from rejection
        except Exception as error:
            # Where it was raised, and not what the exception says, which may quote a user.
            where = "".join(traceback.format_tb(error.__traceback__))
            logger.error("action '%s' raised %s\n%s", action, type(error).__name__, where.rstrip())
            raise ActionFailed(action, type(error).__name__, str(error)) from error
        answer: dict[str, Any] = result.model_dump() if result is not None else {}
        return answer


def _load(module: str) -> Mapping[str, Any]:
    """The actions of a module or package by name. Raises ImportError, and whatever its code raises."""
    try:
        with warnings.catch_warnings():
            # What the SDK imports warns of its own past.
            warnings.simplefilter("ignore")
            from rasa_sdk.executor import ActionExecutor
    except ImportError as error:
        raise ImportError("rasa_sdk is not installed: pip install 'turnstream[actions]'") from error
    importlib.import_module(module)
    executor = ActionExecutor()
    executor.register_package(module)
    return dict(executor.actions)
