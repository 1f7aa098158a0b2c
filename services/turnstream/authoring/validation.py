"""All that can be said of a project before it is trained: what training refuses, what it warns of, and more."""

import sys
from dataclasses import dataclass

from turnstream.assistant.check_config import check_components
from turnstream.assistant.components import ComponentOptions, read_component
from turnstream.assistant.config import ComponentConfig
from turnstream.assistant.problems import Problem, Problems, ProjectError
from turnstream.assistant.project import Project
from turnstream.assistant.reader import ProjectPaths, read_into
from turnstream.assistant.suggested import with_suggestions
from turnstream.assistant.validation import validate_project
from turnstream.authoring.conflicts import find_conflicts, longest_window, warn_of_conflicts
from turnstream.authoring.forms import check_forms
from turnstream.authoring.unused import check_unused
from turnstream.authoring.usage import Usage
from turnstream.dialogue.slots import check_slot_classes
from turnstream.training.dialogues import training_dialogues
from turnstream.training.nlu_components import fit_nlu
from turnstream.training.policies import train_rule_and_memory_policies


@dataclass(frozen=True, slots=True)
class Findings:
    """Each in file order, each once. `errors` refuse training."""

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def examine(paths: ProjectPaths, max_history: int | None = None) -> Findings:
    """Read a project and check everything. Nothing is trained or written.

    Where the domain could not be read, its names are unknown, and only the components are checked.
    `max_history` is how far back stories are compared, in states; None: as far as the config's policies look.
    """
    problems = Problems()
    reading = read_into(paths, problems)
    project = reading.project
    if not reading.names_are_known:
        check_components(project.config, problems)
        return _findings(problems)
    _make_importable(paths)
    found = validate_project(project)
    problems.errors += found.errors
    problems.warnings += found.warnings
    usage = Usage(project, paths.root)
    check_unused(usage, problems)
    check_forms(usage, problems)
    check_slot_classes(project.domain, problems)
    if not problems.errors:
        _check_as_training_does(project, problems)
    _check_stories(project, max_history, problems)
    return _findings(problems)


def examine_stories(paths: ProjectPaths, max_history: int | None = None) -> Findings:
    """Only whether stories contradict each other. Raises ProjectError where they cannot be read."""
    problems = Problems()
    project = read_into(paths, problems).project
    problems.raise_if_any()
    _make_importable(paths)
    found = Problems()
    _check_stories(project, max_history, found)
    return _findings(found)


def _check_stories(project: Project, max_history: int | None, problems: Problems) -> None:
    window = longest_window(project.config) if max_history is None else max_history
    try:
        warn_of_conflicts(find_conflicts(project.stories, project.domain, window), problems)
    except ProjectError as error:
        problems.errors += error.problems


def _check_as_training_does(project: Project, problems: Problems) -> None:
    """Contradictions between rules and stories, and what the parts of the pipeline say of the data."""
    config = with_suggestions(project.config)
    try:
        problems.warnings += fit_nlu(_options(config.pipeline or ()), project.nlu, project.domain).warnings
        dialogues = training_dialogues(project.stories, project.rules, project.domain, problems, augmentation=0)
        train_rule_and_memory_policies(_options(config.policies or ()), dialogues, project.domain, problems)
    except ProjectError as error:
        problems.errors += error.problems


def _options(configured: tuple[ComponentConfig, ...]) -> tuple[ComponentOptions, ...]:
    read = [read_component(config, Problems()) for config in configured]
    return tuple(options for options in read if options is not None)


def _make_importable(paths: ProjectPaths) -> None:
    """Custom slot classes are named by module path from the project's folder."""
    folder = str(paths.root.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _findings(problems: Problems) -> Findings:
    return Findings(tuple(sorted(set(problems.errors))), tuple(sorted(set(problems.warnings))))
