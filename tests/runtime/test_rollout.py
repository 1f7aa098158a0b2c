import os
from itertools import pairwise
from pathlib import Path

import pytest
from support.bundle_folder import damage, put_bundle
from turnstream.assistant.bundle import BundleError
from turnstream.runtime.rollout import Canary, PlanError, RolloutPlan, parse_plan, read_plan, write_plan
from turnstream.runtime.rollout_files import RolloutFiles

CONVERSATIONS = [f"conversation-{i}" for i in range(5000)]


def test_plan_is_read_as_it_stands() -> None:
    # Neither a number nor a date, whatever YAML makes of it.
    assert parse_plan("stable: 20261122\n") == RolloutPlan("20261122")
    plan = parse_plan("{stable: 2026-11-22, canary: {version: '7', share: 0.25}}")
    assert plan == RolloutPlan("2026-11-22", Canary("7", 0.25))
    assert plan.named == ("2026-11-22", "7")
    assert parse_plan("stable: null\ncanary: null") == RolloutPlan("")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "'stable: VERSION' is missing"),
        ("- stable", "'stable: VERSION' is missing"),
        ("stable: [1]", "stable must be a version"),
        ("stable: a\nstabel: b", "unknown key 'stabel'; did you mean 'stable'"),
        ("stable: a\ncanary: b", "'canary' needs a 'version' and a 'share'"),
        ("stable: a\ncanary: {version: b, share: 30}", "canary.share must be a number from 0 to 1, not '30'"),
        ("stable: a\ncanary: {version: b, share: nan}", "from 0 to 1"),
        ("stable: a\ncanary: {version: '', share: 0.1}", "canary.version is empty"),
        ("stable: a\ncanary: {version: b, share: 0.1, shar: 1}", "unknown key 'shar'"),
        ("stable: {", "no valid YAML"),
    ],
)
def test_plan_that_cannot_be_used_says_why(text: str, fault: str) -> None:
    with pytest.raises(PlanError, match=r"rollout\.yaml") as refused:
        parse_plan(text)
    assert fault in str(refused.value)


def test_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "rollout.yaml"
    assert read_plan(file) is None
    for plan in (RolloutPlan("1"), RolloutPlan("1", Canary("2", 0.3)), RolloutPlan("")):
        write_plan(file, plan)
        assert read_plan(file) == plan
    assert [p.name for p in tmp_path.iterdir()] == ["rollout.yaml"]


def test_canary_takes_its_share_and_a_larger_share_only_adds() -> None:
    shares = [0.0, 0.1, 0.3, 0.7, 1.0]
    taken = [{c for c in CONVERSATIONS if Canary("2", share).takes(c)} for share in shares]
    assert all(smaller <= larger for smaller, larger in pairwise(taken))
    for share, some in zip(shares, taken, strict=True):
        assert len(some) / len(CONVERSATIONS) == pytest.approx(share, abs=0.03)
    assert (taken[0], taken[-1]) == (set(), set(CONVERSATIONS))


def test_each_canary_draws_anew() -> None:
    first, second = ({c for c in CONVERSATIONS if Canary(v, 0.2).takes(c)} for v in ("2", "3"))
    assert len(first & second) / len(first) == pytest.approx(0.2, abs=0.05)


def test_newest_bundle_is_stable_without_a_plan(tmp_path: Path) -> None:
    put_bundle(tmp_path, "b", day=1)
    put_bundle(tmp_path, "a", day=2)
    files = RolloutFiles(tmp_path)
    assert (files.read().stable, tuple(files.read().bundles)) == ("a", ("b", "a"))
    put_bundle(tmp_path, "c", day=3)
    assert files.read().stable == "c"


def test_folder_that_is_empty_for_a_moment_is_no_order_to_serve_nothing(tmp_path: Path) -> None:
    bundle = put_bundle(tmp_path, "a")
    files = RolloutFiles(tmp_path)
    assert files.read().stable == "a"
    bundle.rename(tmp_path / ".hidden")
    wanted = files.read()
    assert (wanted.stable, dict(wanted.bundles)) == ("a", {})


def test_plan_that_turns_bad_leaves_the_last_good_one_in_force(tmp_path: Path) -> None:
    put_bundle(tmp_path, "a", day=1)
    put_bundle(tmp_path, "b", day=2)
    files = RolloutFiles(tmp_path)
    write_plan(files.plan_file, RolloutPlan("a", Canary("b", 0.5)))
    assert files.read().versions == ("a", "b")
    files.plan_file.write_text("stable: [")
    wanted = files.read()
    assert wanted.versions == ("a", "b")
    assert "no valid YAML" in wanted.problems[0]


def test_plan_may_name_what_is_not_there(tmp_path: Path) -> None:
    put_bundle(tmp_path, "a")
    files = RolloutFiles(tmp_path)
    write_plan(files.plan_file, RolloutPlan("z"))
    wanted = files.read()
    assert wanted.stable == "z"
    assert wanted.problems == (f"{files.plan_file}: there is no bundle 'z'",)


def test_plan_may_name_a_bundle_by_its_path(tmp_path: Path) -> None:
    bundle = put_bundle(tmp_path / "elsewhere", "a")
    plan = tmp_path / "plan.yaml"
    write_plan(plan, RolloutPlan(str(bundle)))
    wanted = RolloutFiles(None, plan).read()
    assert (wanted.stable, dict(wanted.bundles), wanted.problems) == ("a", {"a": bundle}, ())


def test_plan_in_a_mounted_config_map_changes_with_its_link(tmp_path: Path) -> None:
    put_bundle(tmp_path / "bundles", "a", day=1)
    put_bundle(tmp_path / "bundles", "b", day=2)
    mounted = tmp_path / "mounted"
    # As the kubelet does it: the file is a link into `..data`, which is exchanged as a whole.
    for number, version in enumerate(("a", "b")):
        (mounted / f"..{number}").mkdir(parents=True)
        write_plan(mounted / f"..{number}" / "rollout.yaml", RolloutPlan(version))
    (mounted / "..data").symlink_to("..0")
    (mounted / "rollout.yaml").symlink_to("..data/rollout.yaml")
    files = RolloutFiles(tmp_path / "bundles", mounted / "rollout.yaml")
    assert files.read().stable == "a"
    (mounted / "..next").symlink_to("..1")
    os.replace(mounted / "..next", mounted / "..data")
    assert files.read().stable == "b"


def test_process_starts_with_the_stable_version_or_else_the_newest_that_opens(tmp_path: Path) -> None:
    old = put_bundle(tmp_path, "old", day=1)
    broken = put_bundle(tmp_path, "new", day=2)
    files = RolloutFiles(tmp_path)
    assert files.first().version == "new"
    write_plan(files.plan_file, RolloutPlan("old"))
    assert files.first().version == "old"
    damage(broken)
    write_plan(files.plan_file, RolloutPlan("new"))
    assert files.first().version == "old"
    damage(old)
    with pytest.raises(BundleError, match="damaged"):
        files.first()


def test_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no trained model here\. Run 'turnstream train' first"):
        RolloutFiles(tmp_path).first()
