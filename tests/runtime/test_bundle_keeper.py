"""Versions in a process: loaded beside what serves, ready once all who are asked have them, let go after a while."""

import asyncio
import gc
import logging
import shutil
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from prometheus_client import REGISTRY
from support.bundle_folder import damage, put_bundle
from turnstream.assistant.bundle import Bundle, BundleError, open_bundle
from turnstream.runtime.bundle_keeper import BundleKeeper
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import BundleNotLoaded, DeadlinePassed, InvalidRequest, NoBundle, UnknownBundle
from turnstream.runtime.rollout import Canary, RolloutPlan, write_plan
from turnstream.runtime.rollout_files import RolloutFiles
from turnstream.runtime.rollout_gates import ServiceGate, addresses, health_name, host_of
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.settings import BundlesSettings

GRACE_S = 100.0
open_plain = grpc.aio.insecure_channel


class Loaded:
    """What a service makes of a bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self.version = bundle.version


class ScriptedGate:
    """Lacks what it is told to lack."""

    def __init__(self) -> None:
        self.missing: set[str] = set()

    async def lacks(self, bundle: Bundle) -> str:
        return f"far lacks {bundle.version}" if bundle.version in self.missing else ""


class Process:
    """A keeper under test, with a service `one` and a gate; `now` is its clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0
        self.files = RolloutFiles(folder)
        settings = BundlesSettings(grace_s=GRACE_S, poll_s=0.02)
        self.keeper = BundleKeeper(self.files.first(), self.files, settings, clock=lambda: self.now)
        self.one: Bundles[Loaded] = self.keeper.hold(Loaded)
        self.gate = ScriptedGate()
        self.keeper.require(self.gate)

    def plan(self, stable: str, canary: Canary | None = None) -> None:
        write_plan(self.files.plan_file, RolloutPlan(stable, canary))

    async def settle(self) -> None:
        """Until nothing is being loaded any more, and what was loaded has been looked at."""
        await self.keeper.look()
        await self.keeper.loaded()
        await self.keeper.look()


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    """Serves version 1."""
    put_bundle(tmp_path, "1", day=1)
    process = Process(tmp_path)
    process.plan("1")
    await process.settle()
    yield process
    await process.keeper.stop()


async def test_new_version_serves_once_all_who_are_asked_have_it(process: Process) -> None:
    put_bundle(process.folder, "2", day=2)
    process.gate.missing = {"2"}
    process.plan("2")
    await process.settle()
    assert (process.keeper.stable, process.one.versions, process.one.get().version) == ("1", ("1", "2"), "1")
    assert process.keeper.problems == {"2": "far lacks 2"}
    assert process.keeper.version_for("anyone") == "1"
    process.gate.missing = set()
    await process.settle()
    assert (process.keeper.stable, process.one.get().version) == ("2", "2")
    assert process.keeper.version_for("anyone") == "2"


async def test_conversations_keep_their_side_from_no_canary_to_a_share_and_back(process: Process) -> None:
    put_bundle(process.folder, "2", day=2)
    conversations = [str(number) for number in range(1000)]

    def tried() -> set[str]:
        return {c for c in conversations if process.keeper.version_for(c) == "2"}

    process.plan("1", Canary("2", 0.1))
    await process.settle()
    few = tried()
    process.plan("1", Canary("2", 0.3))
    await process.settle()
    more = tried()
    process.plan("1")
    await process.keeper.look()
    assert (few < more, tried()) == (True, set())
    assert len(more) / len(conversations) == pytest.approx(0.3, abs=0.05)


async def test_canary_that_is_not_ready_tries_nobody(process: Process) -> None:
    put_bundle(process.folder, "2", day=2)
    process.gate.missing = {"2"}
    process.plan("1", Canary("2", 1.0))
    await process.settle()
    assert process.keeper.version_for("anyone") == "1"


async def test_old_version_is_let_go_after_its_grace_and_its_memory_is_free(process: Process) -> None:
    old = weakref.ref(process.one.get("1"))
    put_bundle(process.folder, "2", day=2)
    process.plan("2")
    await process.settle()
    process.now += GRACE_S - 1
    await process.keeper.look()
    # Asked for by a message that was accepted before: the grace begins anew.
    assert process.one.get("1").version == "1"
    process.now += GRACE_S - 1
    await process.keeper.look()
    assert process.one.versions == ("1", "2")
    process.now += 1
    await process.keeper.look()
    gc.collect()
    assert process.one.versions == ("2",)
    assert old() is None


async def test_version_that_is_still_in_the_folder_is_loaded_again_when_it_is_asked_for(process: Process) -> None:
    put_bundle(process.folder, "2", day=2)
    process.plan("2")
    await process.settle()
    process.now += GRACE_S
    await process.keeper.look()
    with pytest.raises(BundleNotLoaded):
        process.one.get("1")
    process.keeper.start()
    assert (await process.one.obtain("1")).version == "1"
    assert process.one.stable == "2"


async def test_version_that_is_gone_for_good_is_unknown(process: Process) -> None:
    process.keeper.start()
    with pytest.raises(UnknownBundle, match="bundle 'never' is gone"):
        await process.one.obtain("never")
    with pytest.raises(BundleNotLoaded):
        process.one.get("never")
    await process.keeper.look()
    await process.keeper.look()
    with pytest.raises(UnknownBundle, match="there is no bundle 'never'"):
        process.one.get("never")


async def test_bundle_that_appears_while_it_is_waited_for_is_had(process: Process, tmp_path: Path) -> None:
    made = put_bundle(tmp_path / ".elsewhere", "2", day=2)
    process.plan("2")
    process.keeper.start()
    waiting = asyncio.create_task(process.keeper.until_stable("2", 10))
    await process.keeper.look()
    made.rename(process.folder / "2")
    await waiting
    assert process.one.get().version == "2"


@pytest.mark.parametrize("way", ["checksum", "unreadable", "missing"])
async def test_broken_bundle_leaves_the_stable_one_serving_and_is_told(
    process: Process, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    failures = REGISTRY.get_sample_value("turnstream_bundle_load_failures_total") or 0.0
    if way != "missing":
        broken = put_bundle(process.folder, "2", day=2)
        if way == "checksum":
            damage(broken)
        else:
            (broken / "domain.json").unlink()
    process.plan("2")
    with caplog.at_level(logging.ERROR):
        await process.settle()
        await process.settle()
    assert (process.keeper.stable, process.one.get().version) == ("1", "1")
    state = "missing" if way == "missing" else "broken"
    assert REGISTRY.get_sample_value("turnstream_bundle_info", {"version": "2", "state": state}) == 1
    assert REGISTRY.get_sample_value("turnstream_rollout_problems") == 1
    assert REGISTRY.get_sample_value("turnstream_rollout_stable_info", {"version": "1"}) == 1
    told = [r.message for r in caplog.records if "rollout: " in r.message]
    assert len(told) == 1, "said once, not at every look"
    assert "'2'" in told[0] if way == "missing" else "version 2 cannot be loaded, 1 goes on" in told[0]
    grown = (REGISTRY.get_sample_value("turnstream_bundle_load_failures_total") or 0.0) - failures
    assert grown == (0 if way == "missing" else 1)


async def test_broken_bundle_serves_once_it_is_whole(process: Process) -> None:
    broken = put_bundle(process.folder, "2", day=2)
    damage(broken)
    process.plan("2")
    await process.settle()
    shutil.rmtree(broken)
    put_bundle(process.folder, "2", day=2)
    await process.settle()
    assert (process.keeper.stable, process.keeper.problems) == ("2", {})


async def test_bundle_that_a_service_cannot_use_is_held_by_none(process: Process) -> None:
    def picky(bundle: Bundle) -> str:
        if bundle.version == "2":
            raise BundleError("its policy files are damaged")
        return bundle.version

    other = process.keeper.hold(picky)
    put_bundle(process.folder, "2", day=2)
    process.plan("2")
    await process.settle()
    assert (process.one.versions, other.versions) == (("1",), ("1",))
    assert process.keeper.problems == {"2": "its policy files are damaged"}


async def test_service_that_is_built_while_a_version_is_loaded_gets_it_too(process: Process) -> None:
    put_bundle(process.folder, "2", day=2)
    process.plan("2")
    await process.keeper.look()
    late = process.keeper.hold(Loaded)
    assert late.versions == ("1",)
    await process.settle()
    assert (process.one.versions, late.versions) == (("1", "2"), ("1", "2"))


async def test_nothing_serves_after_the_model_was_unloaded(process: Process) -> None:
    process.plan("")
    await process.settle()
    with pytest.raises(NoBundle):
        process.keeper.version_for("anyone")
    with pytest.raises(NoBundle):
        process.one.get()
    # What was accepted before is still answered.
    assert process.one.get("1").version == "1"


async def test_waiting_for_a_version_that_does_not_load_ends_with_the_reason(process: Process) -> None:
    damage(put_bundle(process.folder, "2", day=2))
    process.plan("2")
    process.keeper.start()
    with pytest.raises(InvalidRequest, match="damaged"):
        await process.keeper.until_stable("2", 10)
    put_bundle(process.folder, "3", day=3)
    process.gate.missing = {"3"}
    process.plan("3")
    with pytest.raises(DeadlinePassed, match="far lacks 3"):
        await process.keeper.until_stable("3", 0.3)


async def test_process_that_follows_nothing_serves_its_bundle_for_ever(tmp_path: Path) -> None:
    keeper = BundleKeeper(open_bundle(put_bundle(tmp_path, "1")))
    bundles = keeper.hold(Loaded)
    await keeper.look()
    assert (keeper.version_for("anyone"), bundles.get("1").version) == ("1", "1")
    with pytest.raises(UnknownBundle):
        bundles.get("2")


async def test_readiness_is_told_by_grpc_health_and_asked_of_every_replica(process: Process) -> None:
    bundle = open_bundle(process.folder / "1")
    async with GrpcServer([]) as first, GrpcServer([]) as second:
        await process.keeper.tell(lambda version, ready: first.set_health(health_name(version), ready))
        gate = ServiceGate("nlu", first.address, open_plain)
        assert await gate.lacks(bundle) == ""
        assert await ServiceGate("nlu", second.address, open_plain).lacks(bundle) == (
            f"nlu is not ready for it at {second.address}"
        )
        both = ServiceGate("nlu", f"ipv4:{first.address},{second.address}", open_plain)
        assert await both.lacks(bundle) == f"nlu is not ready for it at {second.address}"
        put_bundle(process.folder, "2", day=2)
        process.plan("2")
        await process.settle()
        process.now += GRACE_S
        await process.keeper.look()
        assert "not ready" in await gate.lacks(bundle)


async def test_name_stands_for_all_its_addresses() -> None:
    assert await addresses("pipe:/run/models.sock") == ["pipe:/run/models.sock"]
    assert await addresses("127.0.0.1:50051") == ["127.0.0.1:50051"]
    assert await addresses("dns:///127.0.0.1:50051") == ["dns:///127.0.0.1:50051"]
    assert await addresses("ipv4:10.0.0.1:90,10.0.0.2:90") == ["10.0.0.1:90", "10.0.0.2:90"]
    assert [host_of(t) for t in ("nlu:9", "dns:///nlu.ns.svc:9", "[::1]:9", "ipv4:10.0.0.1:9", "pipe:/a.sock")] == [
        "nlu",
        "nlu.ns.svc",
        "::1",
        "",
        "",
    ]
    assert await addresses("[::1]:50051") == ["[::1]:50051"]
    with pytest.raises(OSError, match=r"Name or service not known|nodename"):
        await addresses("nowhere.invalid:50051")
