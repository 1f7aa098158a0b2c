"""Every command that a page of the documentation names, and what runs it.

A command of a console block is run where its page is followed (tests/docs, tests/cluster). Others, in plain blocks and
in the text, are run in the tutorial's project, or by a test of their own; the few that no test can run say why.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from support.command_lines import words_of
from support.pages import blocks, steps
from support.shared import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = (REPOSITORY / "README.md", REPOSITORY / "ARCHITECTURE.md", *sorted(DOCS.glob("*.md")))
FOLLOWED = ("authoring", "inspector", "migrate", "models", "replay", "rollout", "testing")
"""How-to pages whose commands are run, each in the project that the tutorial leaves behind."""
FOLLOWED_ELSEWHERE = ("README", "tutorial", "deploy")
PROGRAMS = r"turnstream|make|curl|docker|helm|kubectl|python|pip|apt-get|\.venv/bin/\w+|scripts/\w+\.py"
IN_BLOCK = re.compile(rf"^ *(?:\$ )?(?:[A-Z_]+=\S+ )*(?P<command>(?:{PROGRAMS}|eval) .+)$")
IN_TEXT = re.compile(rf"`((?:[A-Z_]+=\S+ )*(?:{PROGRAMS}) [^`]+)`")
COMMENT = re.compile(r" {3,}| +# ")

BESIDE_THE_TUTORIAL = (
    "turnstream --help",
    "turnstream test nlu",
    "turnstream visualize --max-history 1",
    "turnstream visualize --stories data/stories.yml --no-rules --out stories.html",
    "turnstream shell nlu",
    'eval "$(turnstream completion bash)"',
)
CONTAINERS = "tests/containers/test_system.py"
STARTED = f"{CONTAINERS}::test_a_conversation_through_the_published_gateway"
ROLLED = f"{CONTAINERS}::test_a_bundle_is_rolled_out_to_a_share_and_then_to_all"
IMAGES = "scripts/container_tests.py::run_tests"
CLUSTER = "tests/cluster/test_deploy_page.py"
NODE = "tests/cluster/test_system.py"
FAULTS = "tests/chaos/test_random_faults.py::test_random_faults_on_kafka_lose_double_and_reorder_nothing"
SOURCES = "tests/replay/test_sources.py"
LOGS = "tests/cli/test_log_commands.py"
STAGES = "tests/cli/test_rollout_commands.py"
HEALTH = "tests/cli/test_health.py::test_alive_and_ready_are_asked_by_name"
TESTS = "tests/cli/test_test.py"
ROLLOUT = (
    "tests/end_to_end/test_rollout.py"
    "::test_a_version_is_tried_on_a_share_taken_back_and_rolled_out_while_conversations_go_on"
)
ACTIONS = "tests/end_to_end/test_action_server.py"
SWITCH = "tests/gateway/test_switch.py"
TARGETS = {
    **dict.fromkeys(("make lint", "make test", "make test-containers", "make fuzz"), ".ci/run"),
    "make fuzz SECONDS=60": ".ci/run",
    "make setup": "Makefile",
    "make help": "Makefile",
    "make demo": "tests/end_to_end/test_demo.py::test_the_demo_says_what_it_should",
    "make docs": "tests/docs/test_site.py::test_every_page_is_built",
    "make web": "tests/web/test_built_pages.py::test_the_built_pages_fit_their_sources",
    "make test-web": "tests/web/test_chat.py::test_conversations_are_kept_apart",
    "make kafka": "tests/conftest.py::kafka_broker",
    "make chart": "tests/helm/test_documented.py::test_readme_and_schema_are_fresh",
    "make chaos": FAULTS,
    "make chaos ARGS=--seed S --runs 1": FAULTS,
    "make conformance": "tests/conformance/test_bots.py::test_a_project_trains_and_talks",
    "make test-cluster": f"{CLUSTER}::test_from_an_empty_cluster_to_a_conversation",
    "make images": IMAGES,
}
RUN_BY = {
    **TARGETS,
    "scripts/images.py actions kafka": IMAGES,
    ".venv/bin/python scripts/images.py actions": IMAGES,
    ".venv/bin/python scripts/images.py service trainer actions kafka": IMAGES,
    "docker compose -f docker/compose.yaml up": STARTED,
    "docker compose -f docker/compose.yaml -f docker/compose.local.yaml up": STARTED,
    'curl -d {"sender": "ada", "message": "hello there"} http://127.0.0.1:5005/webhooks/rest/webhook': STARTED,
    "docker compose ... run --rm trainer": ROLLED,
    "docker compose ... run --rm trainer rollout canary VERSION --share 0.1 --bundles /bundles": ROLLED,
    "docker compose ... run --rm trainer rollout stable VERSION --bundles /bundles": ROLLED,
    'curl -s localhost:5005/webhooks/rest/webhook -d {"sender": "ada", "message": "hello"}': (
        "tests/end_to_end/test_run.py::test_rest_channel_answers"
    ),
    "curl --data-binary @project.yml -H Content-Type: application/yaml -OJ http://localhost:5005/model/train": (
        "tests/end_to_end/test_training_over_rest.py::test_a_project_in_one_body_becomes_a_bundle_that_serves"
    ),
    'curl -X PUT localhost:5005/model -d {"model_file": "models/20261122-083059"}': (
        f"{SWITCH}::test_model_is_replaced_by_one_that_lies_anywhere"
    ),
    "curl -X DELETE localhost:5005/model": (
        f"{SWITCH}::test_nothing_is_answered_without_a_model_until_there_is_one_again"
    ),
    "eval $(turnstream completion zsh)": "tests/cli/test_completion.py::test_zsh_completes_commands_options_and_files",
    "turnstream completion fish": "tests/cli/test_completion.py::test_fish_completes_commands_options_and_files",
    "helm install bot helm/turnstream --values first.yaml --wait": (
        f"{CLUSTER}::test_from_an_empty_cluster_to_a_conversation"
    ),
    "helm test": f"{CLUSTER}::test_from_an_empty_cluster_to_a_conversation",
    "helm history bot -n bots": f"{CLUSTER}::test_what_the_text_says_to_type",
    "kubectl --namespace bots describe pod": f"{CLUSTER}::test_what_the_text_says_to_type",
    "kubectl -n bots rollout restart deployment/bot-turnstream-gateway": f"{CLUSTER}::test_what_the_text_says_to_type",
    "kubectl logs": f"{CLUSTER}::test_what_the_text_says_to_type",
    "kubectl port-forward": f"{CLUSTER}::test_from_an_empty_cluster_to_a_conversation",
    "kubectl apply --dry-run=server": "tests/cluster/test_api_server.py::test_the_api_server_takes_every_object",
    "kubectl exec POD -- python -c import os, signal; os.kill(1, signal.SIGUSR2)": (
        f"{CLUSTER}::test_more_detail_of_a_pod"
    ),
    "kubectl -n bots delete pod POD": f"{NODE}::test_a_deleted_pod_loses_nothing",
    "kubectl -n bots delete pod POD --grace-period=0 --force": f"{NODE}::test_a_pod_that_vanishes_loses_nothing",
    "kubectl -n bots exec POD -- python -c import os, signal; os.kill(1, signal.SIGTERM)": (
        f"{NODE}::test_sigterm_drains_a_pod_in_peace"
    ),
    "kubectl drain NODE --ignore-daemonsets --delete-emptydir-data": (
        f"{CLUSTER}::test_a_node_is_emptied_one_pod_of_a_service_at_a_time"
    ),
    "kubectl -n bots scale deployment bot-turnstream-model-server --replicas=0": (
        f"{CLUSTER}::test_without_the_model_server_pods_are_not_ready"
    ),
    "helm upgrade bot helm/turnstream -n bots --reuse-values --set-string rollout.stable=19990101-000000": (
        f"{CLUSTER}::test_a_plan_that_names_a_missing_bundle_changes_nothing"
    ),
    "turnstream bundle install SOURCE --bundles /bundles": f"{STAGES}::test_a_bundle_is_installed_from_wherever_it_is",
    "turnstream bundle model-config --bundles /bundles --models-dir /models --output /models/models.config": (
        f"{STAGES}::test_model_configuration_is_written_for_the_plan"
    ),
    "turnstream rollout stable 20261122-102000": f"{STAGES}::test_a_canary_is_tried_grown_and_taken_back",
    "turnstream model-server --model-config /models/models.config": "docker/compose.local.yaml",
    "turnstream export --follow": f"{LOGS}::test_export_follows_what_is_committed",
    "turnstream replay --until-offset 3:1200 --until-offset 4:977": (
        f"{LOGS}::test_replay_of_one_conversation_up_to_a_moment"
    ),
    "turnstream import rasa.db": f"{SOURCES}::test_the_sql_tracker_store_in_order_of_its_ids",
    "turnstream import rasa.sql": f"{SOURCES}::test_dumps_of_servers",
    "turnstream import events.csv": f"{SOURCES}::test_csv",
    "turnstream import trackers.json": f"{SOURCES}::test_trackers",
    "turnstream import events.jsonl": f"{SOURCES}::test_events_as_brokers_publish_them",
    "turnstream health": HEALTH,
    "turnstream health --service ready": HEALTH,
    "turnstream health --address 127.0.0.1:9465 --service ready": HEALTH,
    "turnstream interactive": (
        "tests/cli/test_interactive.py::test_what_is_confirmed_and_corrected_is_saved_and_the_project_is_in_order"
    ),
    "turnstream run --inspect --data training more/nlu.yml": (
        "tests/end_to_end/test_inspector.py::test_the_page_is_named_with_its_token_and_writes_the_projects_files"
    ),
    "turnstream run --placement apart": (
        "tests/end_to_end/test_crashes.py::test_children_of_a_killed_command_end_with_it"
    ),
    "turnstream run --watch": ROLLOUT,
    "turnstream run --watch --enable-api": ROLLOUT,
    "turnstream run actions": f"{ACTIONS}::test_actions_run_on_the_real_server_and_its_end_and_return_are_noticed",
    "turnstream serve NAME": STARTED,
    "turnstream serve gateway": STARTED,
    "turnstream test core --e2e": f"{TESTS}::test_without_e2e_a_message_is_what_the_story_says",
    "turnstream test nlu --config config.yml other.yml": (
        f"{TESTS}::test_several_configs_are_compared_on_the_same_parts"
    ),
    "turnstream test nlu --cross-validation --folds 3": (
        f"{TESTS}::test_cross_validation_trains_on_one_part_and_tests_on_the_other"
    ),
    "turnstream test nlu --nlu train_test_split/test_data.yml": (
        "tests/cli/test_split.py::test_what_was_held_out_can_be_tested"
    ),
    "turnstream train --force": (
        "tests/cli/test_train.py::test_each_training_is_a_version_of_its_own_however_soon_after_another"
    ),
    "turnstream visualize --open": "tests/cli/test_visualize.py::test_the_page_is_opened_where_that_is_asked_for",
}
NOT_RUN = {
    "apt-get install": "changes the machine; the browser's tests say in one line where it was not done",
    "pip install": "asks a registry of packages; CI installs the same from the locks, with `make setup`",
    "make images TAG=1.0 BASE=registry.example/python:3.11": "asks a registry of images that nobody has",
    "make bench": "measures the machine for an hour; its figures are kept with the page that shows them",
    "python -m turnstream.testing.chaos --measure-recovery 4": "measures the machine; `make chaos` runs what it calls",
    "python -m benchmarks": "measures the machine, as `make bench` does",
}
"""By how a command begins: why no test runs it."""


def named_commands(page: Path) -> Iterator[str]:
    """Those outside of what is followed, without settings, comments, and what they are piped into."""
    followed = page.stem in (*FOLLOWED, *FOLLOWED_ELSEWHERE)
    for line in page.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if not (followed and line.startswith("$ ")):
            found = IN_BLOCK.match(line)
            for command in [found["command"]] if found else IN_TEXT.findall(line):
                yield plain(command)


def plain(command: str) -> str:
    return " ".join(words_of(COMMENT.split(command)[0]))


def followed_commands() -> set[str]:
    """Those that are run because their page is followed."""
    pages = (page for page in PAGES if page.stem in (*FOLLOWED, *FOLLOWED_ELSEWHERE))
    found = (block for page in pages for block in blocks(page) if block.language == "console" and not block.title)
    return {plain(step.command) for block in found for step in steps(block)}


def is_name(command: str) -> bool:
    """Whether it names a command, and tells nothing of how it is called."""
    return all(re.fullmatch(r"[a-z-]+|NAME", word) for word in command.split()[1:])


def is_run_as(command: str, ran: Sequence[str]) -> bool:
    return command in ran or (is_name(command) and any(one.startswith(f"{command} ") for one in ran))
