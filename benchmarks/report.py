"""The tables, and the same figures as JSON."""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.breakdown import Breakdown
from benchmarks.figures import Latency, PeerFigures
from benchmarks.limits import Limits
from benchmarks.measure import PlacementFigures
from benchmarks.model_server import ModelServerFigures, model_server_table
from benchmarks.replay import AIM_EVENTS_PER_S, ReplayFigures
from benchmarks.restore import RestoreFigures
from benchmarks.training import TrainingRuns, median_training
from benchmarks.turn_logs import LogTurns, TurnLogFigures

TURN_LIMIT = 0.5
"""Of the peer's median turn."""
THROUGHPUT_LIMIT = 5.0
"""Times the peer's turns a second."""
TRAINING_LIMIT = 5.0
"""Times as fast as the peer, which trains by turns with us."""
PREDICTION_LIMIT_MS = 3.0
"""Of one message, in the median."""
BATCHING_LIMIT = 3.0
"""Times one client's predictions a second."""
START_LIMIT_S = 8.0
SERVICE_MEMORY_LIMIT_MB = 120.0
KAFKA_OVERHEAD_LIMIT_MS = 15.0
"""Of the median turn on an idle machine, over the same turn on SQLite."""
RESTORE_LIMIT_S = 4.0
"""What a lost worker's silence of 6 s leaves of the 10 s in which its conversations answer again."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was asked for; the rest is None or empty."""

    peer: PeerFigures
    load_average: float
    """Of the machine over the minute before: what else runs makes every figure worse."""
    limits: Limits | None = None
    placements: tuple[PlacementFigures, ...] = ()
    training: TrainingRuns | None = None
    model_server: ModelServerFigures | None = None
    turn_logs: TurnLogFigures | None = None
    restore: RestoreFigures | None = None
    replay: ReplayFigures | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """A figure that must hold. `limit` is the most that `value` may be, or with `is_least` the least."""

    name: str
    value: float
    limit: float
    unit: str
    is_least: bool = False

    @property
    def is_kept(self) -> bool:
        return self.value >= self.limit if self.is_least else self.value <= self.limit


def promises(results: Results) -> list[Promise]:
    """What the default placement, `together`, must reach."""
    found = []
    for figures in results.placements:
        if figures.placement != "together":
            continue
        if figures.turns is not None:
            turn_limit = results.peer.turn.p50_ms * TURN_LIMIT
            rate_limit = results.peer.turns_per_s * THROUGHPUT_LIMIT
            found.append(Promise("median turn", figures.turns.turn.p50_ms, turn_limit, "ms"))
            rate = figures.turns.throughput
            name = f"turns a second, {rate.conversations} conversations"
            found.append(Promise(name, rate.turns_per_s, rate_limit, "/s", is_least=True))
        found.append(Promise("start to first answer", figures.start_s, START_LIMIT_S, "s"))
        largest = max(p.uss_mb for p in figures.memory if p.name != "model server")
        found.append(Promise("memory of a service process", largest, SERVICE_MEMORY_LIMIT_MB, "MB"))
    if results.training is not None and results.training.peer:
        ours, peer = median_training(results.training.ours), median_training(results.training.peer)
        times = peer.wall_s / ours.wall_s
        found.append(Promise("training, times as fast as the peer", times, TRAINING_LIMIT, "", is_least=True))
        found.append(Promise("peak memory of training", ours.peak_mb, peer.peak_mb, "MB"))
    if results.model_server is not None:
        lone, growth = results.model_server.lone["pipe"], results.model_server.growth("pipe")
        found.append(Promise("one message through the model server", lone.p50_ms, PREDICTION_LIMIT_MS, "ms"))
        found.append(Promise("predictions of a crowd, times one client's", growth, BATCHING_LIMIT, "", is_least=True))
    if results.turn_logs is not None:
        logs = results.turn_logs
        found.append(Promise("Kafka's part of a turn, idle", logs.overhead_ms, KAFKA_OVERHEAD_LIMIT_MS, "ms"))
        idle = logs.overhead_ms
        found.append(Promise("Kafka's part of a turn, under load", logs.overhead_under_load_ms, idle, "ms"))
        busiest = logs.kafka.crowds[-1].turns_per_s
        found.append(Promise("turns a second of the log alone", logs.log_alone.turns_per_s, busiest, "/s", True))
    if results.restore is not None:
        found.append(Promise("restore of all conversations", results.restore.restore_s, RESTORE_LIMIT_S, "s"))
    return found


def print_results(console: Console, results: Results) -> None:
    console.print(f"Peer: {results.peer.source}", highlight=False)
    cores = os.cpu_count()
    console.print(f"Machine: {cores} cores, load average {results.load_average:.1f} before the run", highlight=False)
    if results.limits is not None:
        console.print(_limits_table(results.limits))
    if any(figures.turns is not None for figures in results.placements):
        console.print(_turns_table(results))
    for figures in results.placements:
        if figures.turns is not None:
            console.print(_breakdown_table(figures.placement, figures.turns.breakdown))
    if results.placements:
        console.print(_processes_table(results))
        console.print(_best_table(results.placements))
    if results.training is not None:
        console.print(_training_table(results.training, results.peer))
    if results.model_server is not None:
        console.print(model_server_table(results.model_server))
    if results.turn_logs is not None:
        console.print(_turn_logs_table(results.turn_logs))
    if results.restore is not None:
        console.print(_restore_table(results.restore))
    if results.replay is not None:
        console.print(_replay_table(results.replay))
    if kept := promises(results):
        console.print(_promises_table(kept))


def _limits_table(limits: Limits) -> Table:
    table = _table("What the machine allows", "p50 ms", "p95 ms", "p99 ms")
    table.add_row("HTTP echo (aiohttp)", *_latency(limits.http_echo))
    table.add_row("gRPC call (grpc.aio)", *_latency(limits.grpc_call))
    table.add_row("SQLite commit with fsync", *_latency(limits.durable_commit))
    return table


def _turns_table(results: Results) -> Table:
    table = _table("Turns", "p50 ms", "p95 ms", "p99 ms", "turns/s", "peer", "times better")
    peer = results.peer
    for figures in results.placements:
        if (turns := figures.turns) is None:
            continue
        where = figures.placement
        table.add_row(f"{where}: REST turn", *_latency(turns.turn), "", *_ratio(peer.turn.p50_ms, turns.turn.p50_ms))
        table.add_row(f"{where}: REST turn, new words", *_latency(turns.turn_of_new_words))
        table.add_row(f"{where}: gRPC turn", *_latency(turns.grpc_turn))
        parse = _ratio(peer.parse.p50_ms, turns.parse.p50_ms) if peer.parse else ("", "")
        table.add_row(f"{where}: /model/parse", *_latency(turns.parse), "", *parse)
        crowd = turns.throughput
        rate = f"{crowd.turns_per_s:.0f}"
        ratio = (f"{peer.turns_per_s:.0f}/s", f"{crowd.turns_per_s / peer.turns_per_s:.2f}")
        table.add_row(f"{where}: {crowd.conversations} conversations", *_latency(crowd.latency), rate, *ratio)
    return table


def _breakdown_table(placement: str, breakdown: Breakdown) -> Table:
    title = f"Where a turn's {breakdown.mean_ms:.1f} ms go ({placement}, mean of {breakdown.turns} turns)"
    table = _table(title, "times a turn", "ms", "share")
    for share in breakdown.shares:
        table.add_row(share.name, f"{share.calls:.2f}", f"{share.ms:.2f}", f"{share.ms / breakdown.mean_ms:.0%}")
    table.add_section()
    for process, cpu_ms in breakdown.cpu_ms:
        table.add_row(f"processor time of {process}", "", f"{cpu_ms:.2f}", "")
    return table


def _processes_table(results: Results) -> Table:
    table = _table("Memory by process", "USS MB", "RSS MB")
    for figures in results.placements:
        for process in figures.memory:
            table.add_row(f"{figures.placement}: {process.name}", f"{process.uss_mb:.0f}", f"{process.rss_mb:.0f}")
        table.add_row(f"{figures.placement}: all", f"{figures.total_mb:.0f}", "")
        table.add_section()
    if results.peer.memory_mb:
        table.add_row("peer", "", f"{results.peer.memory_mb:.0f}")
    return table


def _best_table(placements: tuple[PlacementFigures, ...]) -> Table:
    table = _table("Placements", *(figures.placement for figures in placements), "best")
    rows: list[tuple[str, list[float], bool]] = []
    turns = [figures.turns for figures in placements if figures.turns is not None]
    if turns:
        rows.append(("median turn, ms", [t.turn.p50_ms for t in turns], False))
        rows.append(("turns a second", [t.throughput.turns_per_s for t in turns], True))
    rows.append(("start to first answer, s", [f.start_s for f in placements], False))
    rows.append(("memory of all processes, MB", [f.total_mb for f in placements], False))
    for name, values, more_is_better in rows:
        best = (max if more_is_better else min)(range(len(values)), key=values.__getitem__)
        table.add_row(name, *(f"{value:.1f}" for value in values), placements[best].placement)
    return table


def _training_table(runs: TrainingRuns, recorded: PeerFigures) -> Table:
    training = median_training(runs.ours)
    peer = median_training(runs.peer) if runs.peer else None
    title = f"Training, medians of {len(runs.ours)} runs by turns" if peer else "Training"
    wall_s = peer.wall_s if peer else recorded.training_s
    peak_mb = peer.peak_mb if peer else recorded.training_peak_mb
    cpu_s = peer.cpu_s if peer else None
    table = _table(title, "", "peer", "times better")
    table.add_row("wall, s", f"{training.wall_s:.1f}", *(_ratio(wall_s, training.wall_s, "s") if wall_s else ()))
    table.add_row("processor, s", f"{training.cpu_s:.1f}", *(_ratio(cpu_s, training.cpu_s, "s") if cpu_s else ()))
    memory = _ratio(peak_mb, training.peak_mb, "MB") if peak_mb else ()
    table.add_row("peak memory, MB", f"{training.peak_mb:.0f}", *memory)
    table.add_section()
    for name, seconds in training.parts_s.items():
        table.add_row(f"of it: {name}, s", f"{seconds:.1f}")
    return table


def _turn_logs_table(figures: TurnLogFigures) -> Table:
    table = _table("The turn log: SQLite, Kafka, and a bare broker", "p50 ms", "p95 ms", "p99 ms", "a second")
    for name, log in (("SQLite", figures.sqlite), ("Kafka", figures.kafka)):
        _add_log_turns(table, name, log)
        table.add_section()
    table.add_row("Kafka's log alone, no assistant", *_latency(figures.log_alone.alone))
    table.add_row("... in a crowd", "", "", "", f"{figures.log_alone.turns_per_s:.0f}")
    bare = figures.bare
    name = f"bare broker: produce and consume {bare.record_bytes} bytes"
    table.add_row(name, *_latency(bare.round_trip), f"{bare.records_per_s:.0f}")
    return table


def _add_log_turns(table: Table, name: str, log: LogTurns) -> None:
    table.add_row(f"{name}: turn", *_latency(log.alone))
    for crowd in log.crowds:
        table.add_row(
            f"{name}: {crowd.conversations} conversations", *_latency(crowd.latency), f"{crowd.turns_per_s:.0f}"
        )
    if log.long is not None:
        table.add_row(f"{name}: turns 10 to 59 of one conversation", *_latency(log.long.early))
        table.add_row(f"{name}: turns 1,950 to 1,999 of it", *_latency(log.long.late))


def _restore_table(figures: RestoreFigures) -> Table:
    table = _table("A worker takes over all conversations from Kafka", "")
    table.add_row("conversations", f"{figures.conversations:,}")
    table.add_row("records read", f"{figures.records:,}")
    table.add_row("until all partitions are held, s", f"{figures.restore_s:.2f}")
    table.add_row("memory for a conversation, bytes", f"{figures.bytes_each:.0f}")
    return table


def _replay_table(figures: ReplayFigures) -> Table:
    title = f"Replay of {figures.events:,} events of {figures.conversations:,} conversations, one core"
    table = _table(title, "events/s", "of the aim")
    rows = (
        ("reading records", figures.read_events_per_s),
        ("decoding events", figures.decode_events_per_s),
        ("folding them", figures.fold_events_per_s),
        ("all: from the log to trackers", figures.rebuild_events_per_s),
        ("the same by the clock", figures.wall_events_per_s),
    )
    for name, rate in rows:
        table.add_row(name, f"{rate:,.0f}", f"{rate / AIM_EVENTS_PER_S:.2f}")
    return table


def _promises_table(kept: list[Promise]) -> Table:
    table = _table("Promises (placement together)", "measured", "limit", "kept")
    for promise in kept:
        limit = f"{'at least' if promise.is_least else 'at most'} {promise.limit:.1f} {promise.unit}"
        kept_text = "[green]yes[/]" if promise.is_kept else "[red]no[/]"
        table.add_row(promise.name, f"{promise.value:.1f} {promise.unit}", limit, kept_text)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _latency(latency: Latency) -> tuple[str, str, str]:
    return f"{latency.p50_ms:.2f}", f"{latency.p95_ms:.2f}", f"{latency.p99_ms:.2f}"


def _ratio(peer: float, ours: float, unit: str = "ms") -> tuple[str, str]:
    return f"{peer:.1f} {unit}", f"{peer / ours:.2f}"


def write_json(path: Path, results: Results) -> str:
    """Write the figures to a file, and return them as one line."""
    figures: dict[str, Any] = dataclasses.asdict(results)
    figures["promises"] = [dataclasses.asdict(p) | {"kept": p.is_kept} for p in promises(results)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return json.dumps({"bench": {p.name: {"value": round(p.value, 2), "kept": p.is_kept} for p in promises(results)}})
