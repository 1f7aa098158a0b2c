"""`turnstream health`: asks a process of a deployment how it is, for probes. It starts in a fraction of a second.

gRPC health checking (https://github.com/grpc/grpc/blob/master/doc/health-checking.md), without importing protobuf.
"""

import os

import click
import grpc

from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples

CHECK = "/grpc.health.v1.Health/Check"
PORTS = ("TURNSTREAM_GRPC_HEALTH_PORT", "TURNSTREAM_GRPC_PORT", "TURNSTREAM_MODEL_SERVER_PORT")
SERVING = b"\x08\x01"
"""A HealthCheckResponse with the status 1."""


@click.command(epilog=examples("turnstream health --address 127.0.0.1:50052 --service ready"))
@click.option("--address", help="host:port.  [default: the health port of this host's settings, or the gRPC port]")
@click.option("--service", default="", help="What must be well: 'ready', a service, 'bundle/VERSION'; else: alive.")
@click.option("--timeout", "timeout_s", type=float, default=3.0, show_default=True, help="Seconds to wait.")
def health(address: str | None, service: str, timeout_s: float) -> None:
    """Ask a process whether it is alive, or ready; the exit code is 0 where it is."""
    if address is not None and not address.rpartition(":")[2].isdigit():
        raise CommandError(f"--address: '{address}' has no port: write host:port, such as 127.0.0.1:50051.")
    place = address or _own_address()
    name = service.encode()
    request = b"" if not name else b"\x0a" + _varint(len(name)) + name
    with grpc.insecure_channel(place) as channel:
        check = channel.unary_unary(CHECK, bytes, bytes)
        try:
            answer = check(request, timeout=timeout_s)
        except grpc.RpcError as error:
            told = f"{place}: {error.code().name}: {error.details()}"
            raise CommandError(
                f"{told}\nIs the process running, and is this its port? --address names another."
            ) from error
    if answer != SERVING:
        raise CommandError(f"{place}: {service or 'it'} is not serving.")
    click.echo("serving")


def _own_address() -> str:
    """Raises CommandError."""
    for variable in PORTS:
        port = os.environ.get(variable, "")
        if port.isdecimal() and int(port) > 0:
            return f"127.0.0.1:{port}"
    raise CommandError(f"Which process? Say --address host:port, or set {PORTS[0]}.")


def _varint(number: int) -> bytes:
    if number < 128:
        return bytes((number,))
    return bytes((number & 127 | 128,)) + _varint(number >> 7)
