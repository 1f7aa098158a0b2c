"""Apache Kafka on loopback, for tests and laptops: one broker in KRaft mode, from the jars of Maven Central.

    with KafkaBroker.start(folder) as broker:
        broker.address    # 127.0.0.1:<port>

The jars are fetched once (Maven, 45 jars, 43 MB) into a cache folder. What makes a failed member known late by
default is set low here: the group's rebalance delay, and the session timeouts that members may ask for.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import kafka
import kafka.errors

POM = Path(__file__).with_name("kafka_broker_pom.xml")
DEFAULT_CACHE = Path(__file__).resolve().parents[3] / ".cache" / "kafka"


class BrokerUnavailable(RuntimeError):
    """Why there is no broker, in one line."""


@dataclass(frozen=True, slots=True)
class BrokerTls:
    """Files in PEM: the broker's key (PKCS 8) and certificate in one, and the authorities that it trusts."""

    key_and_certificate: Path
    authorities: Path


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """`port` 0 takes a free one.

    With `users` (passwords by name) there is a listener besides on which clients log in by SASL PLAIN, with `tls` one
    on which they show a certificate, with both one on which they log in over TLS.
    """

    port: int = 0
    cache: Path = DEFAULT_CACHE
    heap_mb: int = 384
    start_timeout_s: float = 90.0
    users: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    tls: BrokerTls | None = None


def broker_jars(cache: Path = DEFAULT_CACHE) -> Path:
    """The folder of the broker's jars; fetched on the first call. Raises BrokerUnavailable."""
    folder = cache / f"jars-{POM.stat().st_size}"
    if folder.is_dir():
        return folder
    _require("java", "a Java runtime, 17 or later")
    maven = _require("mvn", "Maven")
    partial = cache / f"fetching-{os.getpid()}"
    command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        raise BrokerUnavailable(f"Apache Kafka: Maven could not fetch the broker's jars: {lines[0]}")
    with contextlib.suppress(OSError):
        # Another process may have been quicker.
        partial.rename(folder)
    shutil.rmtree(partial, ignore_errors=True)
    return folder


def _require(program: str, what: str) -> str:
    home = os.environ.get("JAVA_HOME", "")
    in_home = Path(home, "bin", program)
    if program == "java" and home and in_home.is_file():
        return str(in_home)
    found = shutil.which(program)
    if found is None:
        raise BrokerUnavailable(f"Apache Kafka needs {what}: `{program}` is not on the PATH")
    return found


def _leash(pid: int) -> "subprocess.Popen[bytes]":
    """Ends a process when this one is gone, however it went: the system then closes the other end of the pipe."""
    command = ["/bin/sh", "-c", "cat > /dev/null; kill -KILL $0", str(pid)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class KafkaBroker:
    """A broker process; its folder keeps the log over `kill` and `restart`. Stop it by `stop`, or as a context."""

    def __init__(self, folder: Path, settings: BrokerSettings | None = None) -> None:
        """Formats `folder` for a new cluster where it holds none. Raises BrokerUnavailable."""
        self._settings = settings or BrokerSettings()
        self._java = _require("java", "a Java runtime, 17 or later")
        self._classpath = f"{broker_jars(self._settings.cache)}/*"
        self._folder = folder
        self._port = self._settings.port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._properties = folder / "server.properties"
        self._secure_ports = {protocol: free_port() for protocol in _secure_protocols(self._settings)}
        ports = {"PLAINTEXT": self._port, **self._secure_ports}
        self._properties.write_text(_properties(folder / "data", ports, free_port(), self._settings))
        if not (folder / "data" / "meta.properties").is_file():
            self._format()

    @classmethod
    def start(cls, folder: Path, settings: BrokerSettings | None = None) -> "KafkaBroker":
        """A broker that serves. Raises BrokerUnavailable."""
        broker = cls(folder, settings)
        broker.launch()
        return broker

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def secure_address(self, protocol: str) -> str:
        """Of the listener of `SASL_PLAINTEXT`, `SSL` or `SASL_SSL`."""
        return f"127.0.0.1:{self._secure_ports[protocol]}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    @property
    def log_file(self) -> Path:
        return self._folder / "broker.log"

    def launch(self) -> None:
        """Start the process and wait until it serves. Raises BrokerUnavailable."""
        options = [f"-Xmx{self._settings.heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    self._java,
                    *options,
                    *_LOGGING,
                    "-cp",
                    self._classpath,
                    "kafka.Kafka",
                    str(self._properties),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._watcher = _leash(self._process.pid)
        try:
            self._wait_until_it_serves()
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout_s: float = 30.0) -> None:
        """In peace where it can be, by force after `timeout_s`."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._ended()

    def kill(self) -> None:
        """As a power cut would (the page cache stays)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._ended()

    def _ended(self) -> None:
        self._process = None
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.communicate()
            self._watcher = None

    def __enter__(self) -> "KafkaBroker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _format(self) -> None:
        # With a zero in front it never begins with a dash, which would be read as an option.
        identity = urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        jvm = [self._java, "-XX:TieredStopAtLevel=1", *_LOGGING, "-cp", self._classpath]
        command = ["format", "-t", identity, "-c", str(self._properties)]
        done = subprocess.run(
            [*jvm, "kafka.tools.StorageTool", *command],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BrokerUnavailable(f"Apache Kafka: its folder could not be formatted: {_last_line(done.stderr)}")

    def _wait_until_it_serves(self) -> None:
        deadline = time.monotonic() + self._settings.start_timeout_s
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                log = self.log_file.read_text(errors="replace")
                raise BrokerUnavailable(f"Apache Kafka stopped at once: {_last_line(log)} (all of it: {self.log_file})")
            if self._serves():
                return
            time.sleep(0.1)
        raise BrokerUnavailable(f"Apache Kafka did not serve within {self._settings.start_timeout_s:g} s")

    def _serves(self) -> bool:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self._port)):
                return False
        try:
            admin = kafka.KafkaAdminClient(
                bootstrap_servers=self.address,
                bootstrap_timeout_ms=2000,
                request_timeout_ms=2000,
            )
        except kafka.errors.KafkaError:
            return False
        try:
            return bool(admin.describe_cluster().get("brokers"))
        except kafka.errors.KafkaError:
            return False
        finally:
            admin.close()


_LOGGING = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")


def _properties(data: Path, ports: Mapping[str, int], controller_port: int, settings: BrokerSettings) -> str:
    addresses = [f"{protocol}://127.0.0.1:{port}" for protocol, port in ports.items()]
    protocols = [f"{protocol}:{protocol}" for protocol in ports]
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": ",".join([*addresses, f"CONTROLLER://127.0.0.1:{controller_port}"]),
        "advertised.listeners": ",".join(addresses),
        "listener.security.protocol.map": ",".join([*protocols, "CONTROLLER:PLAINTEXT"]),
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "num.network.threads": "2",
        "num.io.threads": "2",
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        **_authentication(settings),
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def _secure_protocols(settings: BrokerSettings) -> list[str]:
    protocols = {
        "SASL_PLAINTEXT": bool(settings.users),
        "SSL": settings.tls is not None,
        "SASL_SSL": bool(settings.users) and settings.tls is not None,
    }
    return [protocol for protocol, is_there in protocols.items() if is_there]


def _authentication(settings: BrokerSettings) -> dict[str, str]:
    properties: dict[str, str] = {}
    if settings.users:
        known = " ".join(f'user_{name}="{password}"' for name, password in settings.users.items())
        login = f"org.apache.kafka.common.security.plain.PlainLoginModule required {known};"
        properties["sasl.enabled.mechanisms"] = "PLAIN"
        for listener in ("sasl_plaintext", "sasl_ssl"):
            properties[f"listener.name.{listener}.plain.sasl.jaas.config"] = login
    if settings.tls is not None:
        properties |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(settings.tls.key_and_certificate),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(settings.tls.authorities),
            "listener.name.ssl.ssl.client.auth": "required",
        }
    return properties


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
