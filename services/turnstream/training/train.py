"""A project in, a bundle out: the way from an author's files to what the services load."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from turnstream.assistant.bundle import Bundle, BundleError, BundleWriter, find_bundle, open_bundle
from turnstream.assistant.components import ComponentOptions, NetworkOptions, read_component
from turnstream.assistant.config import ComponentConfig
from turnstream.assistant.domain import REQUESTED_SLOT, ROUTE_TO_CALM_SLOT, SESSION_METADATA_SLOT
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problem, Problems
from turnstream.assistant.project import Project
from turnstream.assistant.reader import ProjectPaths
from turnstream.assistant.suggested import with_suggestions
from turnstream.assistant.validation import load_project
from turnstream.dialogue.slots import check_slot_classes
from turnstream.training import workers
from turnstream.training.dialogues import TrainingDialogues, training_dialogues
from turnstream.training.finetuning import Start, check_same_networks
from turnstream.training.fingerprints import fingerprint
from turnstream.training.nlu_components import NluArtifacts, fit_nlu
from turnstream.training.nlu_parts import nlu_parts
from turnstream.training.parts import FINGERPRINTS, FURTHER, Part, PartOutcome, Reporter, make
from turnstream.training.policies import PolicyArtifacts, train_rule_and_memory_policies
from turnstream.training.policy_parts import policy_parts
from turnstream.training.story_texts import examples_in, said_in

PROJECT_FINGERPRINT = "project"


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """`name` None: a timestamp. `force`: reuse nothing. `augmentation`: how often stories are glued together.

    `finetune`: a bundle, or a folder of them, whose networks are trained further for the share `epoch_fraction` of
    their epochs.
    """

    paths: ProjectPaths
    out: Path
    name: str | None = None
    augmentation: int = 50
    force: bool = False
    finetune: Path | None = None
    epoch_fraction: float = 1.0

    def start(self) -> Start | None:
        """Raises BundleError where `finetune` is no bundle."""
        if self.finetune is None:
            return None
        return Start(open_bundle(find_bundle(self.finetune)), self.epoch_fraction)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """`is_new` is False where the newest bundle was made from the same project. `facts` count what was read."""

    path: Path
    is_new: bool
    outcomes: tuple[PartOutcome, ...]
    warnings: tuple[Problem, ...]
    facts: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Everything that is needed to build the bundle, short of the networks."""

    project: Project
    pipeline: tuple[ComponentOptions, ...]
    policies: tuple[ComponentOptions, ...]
    nlu: NluArtifacts
    dialogues: TrainingDialogues
    tables: PolicyArtifacts
    start: Start | None


def train(request: TrainingRequest, reporter: Reporter) -> TrainingResult:
    """Train a project. Raises ProjectError, with nothing written, where it is refused.

    Raises BundleError where there is no bundle to go on from, and TrainingEnded where the process of a network is gone.
    """
    # Where everything is to be trained, TensorFlow may be loaded meanwhile.
    prepared, warnings = _read(request, trains_all=request.force or _newest(request.out) is None)
    whole = fingerprint(replace(prepared.project, tests=()), request.augmentation)
    earlier = None if request.force else _earlier(request, prepared.start)
    facts = _facts(prepared)
    if earlier is not None and _is_current(earlier, whole, request):
        return TrainingResult(earlier.root, False, (), warnings, facts)
    # To the millisecond: two trainings within a second are two versions.
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]
    place = request.out / (request.name or stamp)
    with BundleWriter(place, domain=prepared.project.domain, config=prepared.project.config, version=stamp) as writer:
        outcomes = _write(prepared, writer, earlier, reporter, whole)
        path = writer.commit()
    return TrainingResult(path, True, outcomes, warnings, facts)


def _read(request: TrainingRequest, *, trains_all: bool) -> tuple[_Prepared, tuple[Problem, ...]]:
    _make_importable(request.paths.root)
    problems = Problems()
    read = load_project(request.paths)
    prepared = _prepare(read.project, request, problems, trains_all=trains_all)
    problems.raise_if_any()
    # The components are read by the check and again to be trained: what they warn of is told once.
    return prepared, tuple(dict.fromkeys((*read.warnings, *prepared.nlu.warnings, *problems.warnings)))


def _prepare(project: Project, request: TrainingRequest, problems: Problems, *, trains_all: bool) -> _Prepared:
    spoken = examples_in((*project.stories, *project.rules))
    project = replace(project, nlu=replace(project.nlu, examples=(*project.nlu.examples, *spoken)))
    config = with_suggestions(project.config)
    pipeline = _options(config.pipeline or (), problems)
    policies = _options(config.policies or (), problems) if _has_dialogues(project) else ()
    check_slot_classes(project.domain, problems)
    if not (project.nlu.examples or _has_dialogues(project)):
        problems.error(Location("data"), "There is nothing to train: no examples of intents, no stories and no rules.")
    problems.raise_if_any()
    start = request.start()
    if start is not None:
        written = (*(config.pipeline or ()), *(config.policies or ()))
        check_same_networks(start, written, (*pipeline, *policies), problems)
        problems.raise_if_any()
    if trains_all and any(isinstance(options, NetworkOptions) for options in (*pipeline, *policies)):
        workers.prepare()
    nlu = fit_nlu(pipeline, project.nlu.distinct, project.domain, start, said_in(project.stories))
    dialogues = training_dialogues(
        project.stories, project.rules, project.domain, problems, augmentation=request.augmentation
    )
    tables = train_rule_and_memory_policies(policies, dialogues, project.domain, problems)
    if start is not None:
        start.check_domain([model.part for model in tables.models], project.domain, problems)
    return _Prepared(project, pipeline, policies, nlu, dialogues, tables, start)


def _has_dialogues(project: Project) -> bool:
    """Without stories and rules an assistant understands messages and answers none, unless another engine does."""
    return bool(project.stories or project.rules or project.flows) or ROUTE_TO_CALM_SLOT in project.domain.slots


def _options(configured: Sequence[ComponentConfig], problems: Problems) -> tuple[ComponentOptions, ...]:
    read = [read_component(config, problems) for config in configured]
    return tuple(options for options in read if options is not None)


def _write(
    prepared: _Prepared, writer: BundleWriter, earlier: Bundle | None, reporter: Reporter, whole: str
) -> tuple[PartOutcome, ...]:
    writer.write_json("nlu/pipeline.json", prepared.nlu.pipeline_json())
    writer.write_json("nlu/components.json", prepared.nlu.components_json())
    writer.write_json("selection/selectors.json", prepared.nlu.selectors_json())
    for name, content in prepared.tables.files.items():
        writer.write_json(name, content)
    writer.policy_window = prepared.tables.policy_window
    further = prepared.start is not None
    writer.facts[FINGERPRINTS] = {PROJECT_FINGERPRINT: FURTHER + whole if further else whole}
    return make(_parts(prepared), writer, earlier, reporter, further=further)


def _parts(prepared: _Prepared) -> Iterator[Part]:
    project = prepared.project
    texts = (said_in(project.stories), project.domain.e2e_actions)
    key = fingerprint(prepared.pipeline, project.nlu, project.domain.responses, texts)
    yield from nlu_parts(prepared.nlu, key, project.nlu.distinct)
    spoken = (project.stories, project.rules, project.domain)
    # Where stories have texts, TED learns from what the featurizers make of them.
    key = fingerprint(spoken, key) if any(texts) else fingerprint(spoken)
    yield from policy_parts(
        prepared.tables, prepared.dialogues, project.domain, prepared.nlu.pipeline, key, prepared.start
    )


def _earlier(request: TrainingRequest, start: Start | None) -> Bundle | None:
    """The bundle whose parts are taken over where nothing has changed."""
    return start.bundle if start is not None else _newest(request.out)


def _newest(out: Path) -> Bundle | None:
    try:
        return open_bundle(find_bundle(out))
    except BundleError:
        return None


def _is_current(earlier: Bundle, whole: str, request: TrainingRequest) -> bool:
    found = earlier.manifest.facts.get(FINGERPRINTS, {}).get(PROJECT_FINGERPRINT)
    same = found == whole or (request.finetune is not None and found == FURTHER + whole)
    return same and request.name in (None, earlier.root.name)


def _facts(prepared: _Prepared) -> dict[str, int]:
    project = prepared.project
    return {
        "examples": len(project.nlu.examples),
        "intents": len({e.base_intent for e in project.nlu.examples if e.base_intent}),
        "stories": len(project.stories),
        "rules": len(project.rules),
        "slots": len(project.domain.slots.keys() - {REQUESTED_SLOT, SESSION_METADATA_SLOT}),
        "forms": len(project.domain.forms),
        "responses": len(project.domain.responses),
    }


def _make_importable(root: Path) -> None:
    """Custom slot classes are named by module path from the project's folder."""
    folder = str(root.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
