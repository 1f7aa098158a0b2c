"""All settings of a process, typed: `TURNSTREAM_<SECTION>_<NAME>` in the environment, over a YAML file, over defaults.

    settings = load_settings(file=Path("turnstream.yml"))
    settings.grpc.port

Unknown keys are refused with the nearest known one, all problems at once. `settings_table()` lists every setting.
"""

import contextlib
import dataclasses
import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from turnstream.runtime.yaml_text import BadYaml, load_yaml

PREFIX = "TURNSTREAM_"
RASA_VARIABLES = {"MAX_NUMBER_OF_PREDICTIONS": "conversation.max_actions"}
"""Variables of a deployment of Rasa that say the same; ours count before them."""

NO_SETTINGS = frozenset({"TURNSTREAM_CRASH_AT", "TURNSTREAM_TIMINGS_FOLDER"})
"""Variables of the prefix that belong to others: crash tests, benchmarks."""
T = TypeVar("T")
Scalar = str | int | float | bool | None


class SettingsError(ValueError):
    """Everything that is wrong with the settings, one line each, in `problems`."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def setting(default: Any, meaning: str, unit: str = "") -> Any:
    """A dataclass field that knows its meaning and unit."""
    return field(default=default, metadata={"meaning": meaning, "unit": unit})


@dataclass(frozen=True, slots=True)
class LogSettings:
    level: str = setting("info", "debug, info, warning, error or critical")
    json: bool = setting(False, "JSON lines instead of plain ones")
    message_texts: bool = setting(False, "Log what users and bots say; their words are personal data")


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    host: str = setting("127.0.0.1", "Address of the metrics; 0.0.0.0 for all")
    port: int = setting(-1, "Port of Prometheus' /metrics; 0 takes a free one, -1 opens none")


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    otlp_endpoint: str = setting("", "Where traces go by OTLP over gRPC, such as http://collector:4317; empty: none")


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Between services. Files in PEM."""

    server_certificate: str = setting("", "Certificate of this process's gRPC server; empty: plaintext")
    server_key: str = setting("", "Key of that certificate")
    client_ca: str = setting("", "Authorities whose clients this server takes; empty: clients need no certificate")
    ca: str = setting("", "Authorities that channels to other services trust; empty: plaintext")
    client_certificate: str = setting("", "Certificate that channels present; empty: none")
    client_key: str = setting("", "Key of that certificate")
    server_name: str = setting("", "Name expected in the servers' certificates; empty: that of the address")
    model_server: bool = setting(False, "Whether the channel to the model server uses TLS too")


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 for all")
    port: int = setting(0, "Port of a service's gRPC server; 0 takes a free one")
    max_message_bytes: int = setting(4 * 1024 * 1024, "Largest request received", "bytes")
    drain_timeout_s: float = setting(20.0, "Within which a process ends after SIGTERM: calls under way finish", "s")
    max_response_bytes: int = setting(64 * 1024 * 1024, "Largest response sent, such as a long tracker", "bytes")
    drain_delay_s: float = setting(0.0, "Of that, how long calls are still taken, so that clients hear of the end", "s")
    health_port: int = setting(-1, "Port with health checks alone, in plaintext; 0 takes a free one, -1 opens none")
    max_connection_age_s: float = setting(
        300.0, "Age at which a connection is ended in peace, so that clients find new replicas; 0: never", "s"
    )
    max_calls: int = setting(10_000, "Calls of all connections at once; more are refused")
    keepalive_s: float = setting(60.0, "Silence of a connection after which the client is probed", "s")


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    max_message_bytes: int = setting(
        64 * 1024 * 1024, "Largest message sent or received; servers may allow less", "bytes"
    )
    max_attempts: int = setting(3, "Attempts of a call that is safe to repeat, when the other side is unavailable")
    max_reconnect_s: float = setting(2.0, "Longest pause between attempts to connect", "s")
    keepalive_s: float = setting(300.0, "Idle time after which a connection is probed", "s")


@dataclass(frozen=True, slots=True)
class AddressSettings:
    nlu: str = setting("", "host:port of the nlu service; empty: in this process")
    selection: str = setting("", "host:port of the selection service; empty: in this process")
    policy: str = setting("", "host:port of the policy service; empty: in this process")
    action: str = setting("", "host:port of the action service; empty: in this process")
    conversation: str = setting("", "host:port of the conversation service; empty: in this process")
    model_server: str = setting(
        "", "host:port of TensorFlow Serving or the local model server; empty: started with the rest"
    )


@dataclass(frozen=True, slots=True)
class TimeoutSettings:
    turn_s: float = setting(60.0, "How long a client waits for a turn", "s")
    nlu_s: float = setting(10.0, "One call of the nlu service", "s")
    selection_s: float = setting(10.0, "One call of the selection service", "s")
    policy_s: float = setting(10.0, "One call of the policy service", "s")
    action_s: float = setting(60.0, "One action, the action server's answer included", "s")
    predict_s: float = setting(5.0, "One prediction of the model server", "s")


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    host: str = setting("127.0.0.1", "Address of the REST door; 0.0.0.0 for all")
    port: int = setting(5005, "Port of the REST door")
    grpc_port: int = setting(0, "Port of the public gRPC door; 0 takes a free one, -1 opens none")
    enable_api: bool = setting(False, "Serve Rasa's HTTP API, not the channels alone")
    cors: str = setting("", "Origins allowed by CORS, separated by commas; * for all")
    auth_token: str = setting("", "Token that API requests must carry; empty: none")
    jwt_secret: str = setting("", "Secret or public key that checks JWTs; empty: none")
    jwt_method: str = setting("HS256", "Algorithm of the JWTs")
    max_message_bytes: int = setting(256 * 1024, "Longest text or metadata of a message", "bytes")
    max_body_bytes: int = setting(8 * 1024 * 1024, "Longest body of a REST request", "bytes")
    tls_certificate: str = setting("", "File with the certificate of the doors, in PEM; empty: plaintext")
    tls_key: str = setting("", "File with the key of that certificate")
    rate_per_second: float = setting(0.0, "Requests that one client may send a second, on average; 0: any number")
    rate_burst: int = setting(20, "Requests that it may send at once")
    max_calls_per_client: int = setting(0, "Requests of one client at once; 0: any number")
    proxies: int = setting(0, "Proxies in front that add to X-Forwarded-For; 0: the header is not believed")
    max_streams_per_connection: int = setting(100, "Calls of one gRPC connection at once; more wait at the client")
    max_connections: int = setting(4096, "Connections of the REST door; more are told to try later")
    client_timeout_s: float = setting(
        30.0, "Within which a client must have sent its request; and how long it may take nothing of the answer", "s"
    )


@dataclass(frozen=True, slots=True)
class TurnLogSettings:
    kind: str = setting("sqlite", "sqlite or kafka")
    path: str = setting(".turnstream/turns.db", "File of the SQLite log")


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Those of `turnlog.kafka.settings.KafkaSettings`, by the same names."""

    bootstrap_servers: str = setting("127.0.0.1:9092", "host:port of brokers, separated by commas")
    prefix: str = setting("turnstream.", "Beginning of the names of topics, group and transactions")
    partitions: int = setting(16, "Partitions of each topic: the most workers that share the conversations; fixed")
    replication: int = setting(3, "Copies of each topic, at most as many as there are brokers")
    inbox_retention_h: float = setting(168.0, "How long messages stay in the inbox", "h")
    erasure_lag_h: float = setting(24.0, "Within which an erased record leaves the brokers' disks", "h")
    max_message_bytes: int = setting(4 * 1024 * 1024, "Largest message, and largest turn", "bytes")
    max_unanswered: int = setting(10_000, "Messages of one gateway that may wait; above, clients are told to try later")
    max_unanswered_per_conversation: int = setting(100, "The same for one conversation")
    max_backlog_per_partition: int = setting(20_000, "Messages of all gateways that may wait in a partition")
    idle_after_h: float = setting(720.0, "Silence after which a conversation leaves its worker's memory", "h")
    accept_timeout_s: float = setting(5.0, "How long a message may take to be accepted", "s")
    session_timeout_s: float = setting(6.0, "Silence after which a worker counts as dead; brokers allow 6 or more", "s")
    transaction_timeout_s: float = setting(10.0, "After which the broker ends a dead worker's transaction", "s")
    fence_after_s: float = setting(0.3, "After which the next owner ends a dead worker's transaction", "s")
    security_protocol: str = setting("PLAINTEXT", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    sasl_mechanism: str = setting("", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    sasl_username: str = setting("", "User of the brokers")
    sasl_password: str = setting("", "Password of that user")
    ssl_cafile: str = setting("", "Certificates of the authorities that are trusted; empty: the system's")
    ssl_certfile: str = setting("", "Certificate of this client")
    ssl_keyfile: str = setting("", "Key of that certificate")
    ssl_check_hostname: bool = setting(True, "Whether a broker's certificate must bear its name")


@dataclass(frozen=True, slots=True)
class BundlesSettings:
    folder: str = setting("", "Folder of bundles to follow while serving; empty: the one bundle of --model")
    plan: str = setting("", "File that says which versions serve; empty: rollout.yaml in the folder")
    poll_s: float = setting(2.0, "How often folder and plan are looked at", "s")
    grace_s: float = setting(300.0, "How long a version that the plan no longer names is kept after its last use", "s")


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    max_actions: int = setting(10, "Actions in one turn (Rasa's MAX_NUMBER_OF_PREDICTIONS)")
    max_turns_in_flight: int = setting(256, "Turns handled at once; what comes above waits in the inbox")
    max_live_conversations: int = setting(5000, "Conversations kept in memory; others are read back from the log")
    turn_timeout_s: float = setting(120.0, "Time of one turn; what it asks after that fails", "s")
    max_events_for_actions: int = setting(1000, "Latest events of the session that an action server is sent")
    max_event_bytes_for_actions: int = setting(2 * 1024 * 1024, "The same in bytes; what is older is left out", "bytes")
    snapshot_every_turns: int = setting(50, "Turns after which a conversation's state is written beside its turns")
    max_attempts: int = setting(3, "Attempts at a message on which this service itself fails; then an error answers it")
    bundle_wait_s: float = setting(30.0, "How long a message waits for the bundle that it names, before another", "s")
    drain_s: float = setting(5.0, "Time that turns under way have to finish before others go on with them", "s")
    advertise: str = setting("", "host:port at which other replicas reach this one; empty: the gRPC server's own")


@dataclass(frozen=True, slots=True)
class ModelServerSettings:
    models: str = setting("", "Folder of models, <name>/<version>/ each")
    host: str = setting("127.0.0.1", "Address to listen on")
    port: int = setting(8500, "Port of the model server; 0 takes a free one")
    pipe: str = setting("", "Unix socket to answer on besides, for faster calls on this machine; empty: none")
    max_batch_size: int = setting(32, "Rows of one batch")
    batch_wait_ms: float = setting(0.0, "How long a lone request waits for company", "ms")
    threads: int = setting(1, "Threads of one TensorFlow operation; more than one helps with large batches only")
    parallel_batches: int = setting(2, "Batches, of different models, that run at once; also models loaded at once")
    poll_s: float = setting(5.0, "Interval of looking for new versions; 0: never", "s")


@dataclass(frozen=True, slots=True)
class Settings:
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    tls: TlsSettings = TlsSettings()
    grpc: GrpcSettings = GrpcSettings()
    channel: ChannelSettings = ChannelSettings()
    address: AddressSettings = AddressSettings()
    timeout: TimeoutSettings = TimeoutSettings()
    gateway: GatewaySettings = GatewaySettings()
    turn_log: TurnLogSettings = TurnLogSettings()
    kafka: KafkaSettings = KafkaSettings()
    bundles: BundlesSettings = BundlesSettings()
    conversation: ConversationSettings = ConversationSettings()
    model_server: ModelServerSettings = ModelServerSettings()


@dataclass(frozen=True, slots=True)
class SettingRow:
    """`name` as in the YAML file (`grpc.port`), `variable` as in the environment (`TURNSTREAM_GRPC_PORT`)."""

    name: str
    variable: str
    type: str
    default: Scalar
    unit: str
    meaning: str


def settings_table() -> tuple[SettingRow, ...]:
    """Every setting there is, in order."""
    rows = []
    for section in dataclasses.fields(Settings):
        kind = get_type_hints(Settings)[section.name]
        hints = get_type_hints(kind)
        for f in dataclasses.fields(kind):
            variable = f"{PREFIX}{section.name}_{f.name}".upper()
            unit, meaning = f.metadata["unit"], f.metadata["meaning"]
            name, default = f"{section.name}.{f.name}", getattr(kind(), f.name)
            rows.append(SettingRow(name, variable, hints[f.name].__name__, default, unit, meaning))
    return tuple(rows)


def settings_as_environment(settings: Settings) -> dict[str, str]:
    """The variables from which another process reads the same settings."""
    variables = {}
    for row in settings_table():
        section, _, key = row.name.partition(".")
        value = getattr(getattr(settings, section), key)
        variables[row.variable] = str(value).lower() if isinstance(value, bool) else str(value)
    return variables


def load_settings(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Scalar] | None = None,
) -> Settings:
    """Defaults, then the file, then the environment (the process's own where None), then `overrides` by dotted name.

    Raises SettingsError with every unknown key and every value of a wrong type.
    """
    rows = {row.name: row for row in settings_table()}
    problems: list[str] = []
    values: dict[str, Any] = {}
    if file is not None:
        values |= _from_file(file, rows, problems)
    values |= _from_environment(os.environ if environment is None else environment, rows, problems)
    for name, value in (overrides or {}).items():
        if name in rows:
            values[name] = value
        else:
            problems.append(f"unknown setting {name!r}{_nearest(name, rows)}")
    settings = _build(values, problems)
    if problems:
        raise SettingsError(tuple(problems))
    return settings


def _from_file(file: Path, rows: Mapping[str, SettingRow], problems: list[str]) -> dict[str, Any]:
    try:
        content = load_yaml(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, BadYaml) as error:
        problems.append(f"{file}: {error}")
        return {}
    found: dict[str, Any] = {}
    for section, entries in content.items() if isinstance(content, dict) else [("", None)]:
        if not isinstance(entries, dict):
            problems.append(f"{file}: {section!r} must be a section of settings")
            continue
        for key, value in entries.items():
            name = f"{section}.{key}"
            if name in rows:
                found[name] = value
            else:
                problems.append(f"{file}: unknown setting {name!r}{_nearest(name, rows)}")
    return found


def _from_environment(
    environment: Mapping[str, str], rows: Mapping[str, SettingRow], problems: list[str]
) -> dict[str, Any]:
    by_variable = {row.variable: row for row in rows.values()}
    found: dict[str, Any] = {RASA_VARIABLES[v]: text for v, text in environment.items() if v in RASA_VARIABLES}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable in NO_SETTINGS:
            continue
        if variable in by_variable:
            found[by_variable[variable].name] = text
        else:
            problems.append(f"unknown environment variable {variable}{_nearest(variable, by_variable)}")
    return found


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _build(values: Mapping[str, Any], problems: list[str]) -> Settings:
    sections = {}
    for section in dataclasses.fields(Settings):
        kind = get_type_hints(Settings)[section.name]
        hints = get_type_hints(kind)
        given = {}
        for key, hint in hints.items():
            name = f"{section.name}.{key}"
            if name in values:
                try:
                    given[key] = _convert(values[name], hint)
                except ValueError as error:
                    problems.append(f"{name}: {error}")
        sections[section.name] = kind(**given)
    return Settings(**sections)


_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _convert(value: Any, kind: type) -> Any:
    assert not get_args(kind), "settings are scalars"
    if kind is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _WORDS:
            return _WORDS[value.lower()]
    elif kind is str and isinstance(value, str):
        return value
    elif kind in (int, float) and isinstance(value, str | int | float) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            number = kind(value)
            if math.isfinite(number) and (isinstance(value, str) or number == value):
                return number
    raise ValueError(f"{value!r} is not a {kind.__name__}")
