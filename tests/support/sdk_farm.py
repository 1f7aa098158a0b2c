"""Runs many `rasa_sdk` action servers cheaply: imports the SDK once and forks a server for each project.

Run as a program. Reads lines `{"root": DIR, "port": N, "grpc": BOOL}` and prints `{"port": N}` once that server
answers; ends its servers when its input ends. The servers are the SDK's own application and executor on the project's
own `actions`.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import warnings

warnings.simplefilter("ignore")

from rasa_sdk.endpoint import create_app  # noqa: E402
from rasa_sdk.executor import ActionExecutor  # noqa: E402


def serve(root: str, port: int, grpc: bool) -> None:
    os.chdir(root)
    sys.path.insert(0, root)
    sys.dont_write_bytecode = True
    executor = ActionExecutor()
    executor.register_package("actions")
    if grpc:
        from rasa_sdk.grpc_server import run_grpc

        asyncio.run(run_grpc(executor, port))
        return
    app = create_app(executor)
    app.config.KEEP_ALIVE_TIMEOUT = 120
    app.run(host="127.0.0.1", port=port, single_process=True, motd=False, access_log=False)


async def until_open(port: int, timeout_s: float = 60) -> None:
    async with asyncio.timeout(timeout_s):
        while True:
            with socket.socket() as probe:
                probe.setblocking(False)
                try:
                    await asyncio.get_running_loop().sock_connect(probe, ("127.0.0.1", port))
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    return


def main() -> None:
    children: list[int] = []
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            serve(request["root"], request["port"], request.get("grpc", False))
            os._exit(0)
        children.append(child)
        asyncio.run(until_open(request["port"]))
        sys.stdout.write(json.dumps({"port": request["port"]}) + "\n")
        sys.stdout.flush()
    for child in children:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
