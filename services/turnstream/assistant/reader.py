"""Reading a whole project: config, domain, training data, test stories, endpoints.

All problems of all files are collected before the project is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from turnstream.assistant.config import Endpoints, ModelConfig
from turnstream.assistant.config_reader import imported_projects, read_config, read_endpoints
from turnstream.assistant.domain import Domain
from turnstream.assistant.domain_files import FILE_KEYS, DomainPart, check_sections, read_domain_part
from turnstream.assistant.domain_merge import DataAdditions, merge_domain
from turnstream.assistant.files import (
    DATA_KEYS,
    Files,
    check_version,
    data_files,
    domain_files,
    holds_domain,
    holds_only_domain,
    imported_folders,
    is_test_file,
)
from turnstream.assistant.flows import Flow, read_flows, with_flow_triggers
from turnstream.assistant.location import Location
from turnstream.assistant.nlu_reader import NluCollector
from turnstream.assistant.problems import Problem, Problems
from turnstream.assistant.project import Project
from turnstream.assistant.stories import BotStep, Story, TestStory
from turnstream.assistant.story_reader import StoryCollector
from turnstream.assistant.yaml_nodes import Node


@dataclass(frozen=True, slots=True)
class ProjectPaths:
    """Where a project lies. `domain` and `data` are files or folders; `config` None means all defaults.

    Problems show paths relative to `root`. Test stories are looked for in `tests` and among the data.
    """

    root: Path
    config: Path | None
    domain: tuple[Path, ...]
    data: tuple[Path, ...]
    endpoints: Path | None = None
    tests: tuple[Path, ...] = ()

    @classmethod
    def default(cls, root: Path) -> "ProjectPaths":
        """The usual places: config.yml, domain.yml or the folder domain, data, endpoints.yml and tests."""
        domain = root / "domain" if (root / "domain").is_dir() else root / "domain.yml"
        if (root / "domain.yml").is_file():
            domain = root / "domain.yml"
        endpoints = root / "endpoints.yml"
        tests = root / "tests"
        return cls(
            root,
            root / "config.yml",
            (domain,),
            (root / "data",),
            endpoints if endpoints.is_file() else None,
            (tests,) if tests.is_dir() else (),
        )


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A project that was accepted; `warnings` are in file order."""

    project: Project
    warnings: tuple[Problem, ...] = ()


def read_project(paths: ProjectPaths) -> ReadResult:
    """Read a project. Raises ProjectError with all problems of all files.

    What the files say is not checked against each other here: see `validation.load_project`.
    """
    problems = Problems()
    project = read_into(paths, problems).project
    problems.raise_if_any()
    return ReadResult(project, tuple(sorted(set(problems.warnings))))


@dataclass(frozen=True, slots=True)
class Reading:
    """A project as far as it could be read; `names_are_known` unless domain or NLU data had errors."""

    project: Project
    names_are_known: bool


def read_into(paths: ProjectPaths, problems: Problems) -> Reading:
    """Read a project as far as it goes, with all that is wrong in `problems`."""
    files = Files(paths.root, problems)
    config, imported = _read_config(paths, files, problems)
    story_problems = Problems(warnings=problems.warnings)
    nlu, stories = NluCollector(problems), StoryCollector(story_problems)
    flows: list[Flow] = []
    errors_before = len(problems.errors)
    for path, root in _read_data(_existing(paths.data, files, problems), imported, files, problems):
        stories.read_file(root, is_test=is_test_file(path))
        nlu.read_file(root)
        flows += read_flows(root, problems)
    additions = DataAdditions(
        nlu.retrieval_intents(), nlu.responses, nlu.written_responses, _bot_texts(stories.stories)
    )
    domain = _read_domain(paths, imported, additions, files, problems)
    if paths.domain and (stories.stories or stories.rules) and len(problems.errors) == errors_before:
        _check_that_domain_says_something(domain, files.shown(paths.domain[0]), problems)
    names_are_known = len(problems.errors) == errors_before
    problems.errors.extend(story_problems.errors)
    project = Project(
        config=with_flow_triggers(config, flows),
        domain=domain,
        nlu=nlu.data(),
        stories=tuple(stories.stories),
        rules=tuple(stories.rules),
        tests=(*stories.tests, *_read_tests(paths, problems)),
        endpoints=_read_endpoints(paths.endpoints, files, problems, is_served=False),
        flows=tuple(flows),
    )
    return Reading(project, names_are_known)


def _existing(paths: Iterable[Path], files: Files, problems: Problems) -> list[Path]:
    found = []
    for path in paths:
        if path.exists():
            found.append(path)
        else:
            problems.error(Location(files.shown(path)), "There is no such file or folder.")
    return found


def _read_config(paths: ProjectPaths, files: Files, problems: Problems) -> tuple[ModelConfig, list[Path] | None]:
    """The config, and the folders of imported projects (None where the config imports none)."""
    root = files.read_mapping(paths.config) if paths.config is not None else None
    if root is None or paths.config is None:
        return ModelConfig(), None
    return read_config(root, problems), _imported(root, paths.config.parent, files, problems)


def _imported(root: Node, start: Path, files: Files, problems: Problems) -> list[Path] | None:
    imports = imported_projects(root, problems)
    return imported_folders(start, imports, files, problems) if imports is not None else None


def imported_places(paths: ProjectPaths) -> tuple[Path, ...]:
    """The folders that training reads beside `data`, since the config imports them.

    What is wrong in the config is not told here: reading the project does.
    """
    problems = Problems()
    files = Files(paths.root, problems)
    if paths.config is None or not paths.config.is_file():
        return ()
    root = files.read_mapping(paths.config)
    return tuple(_imported(root, paths.config.parent, files, problems) or ()) if root is not None else ()


def _read_data(
    paths: Iterable[Path], imported: list[Path] | None, files: Files, problems: Problems
) -> list[tuple[Path, Node]]:
    """The files with training data; domain files among them and files of projects not imported are left out."""
    found = []
    for path in data_files([*paths, *(imported or [])]):
        if imported is not None and not _is_imported(path, paths, imported):
            continue
        root = files.read(path)
        if root is None or (root.mapping is not None and holds_only_domain(root)) or _is_config(path, root):
            continue
        if not any(key in DATA_KEYS for key in root.mapping or {}):
            problems.warning(Location(root.file), "The file has no training data and is skipped.")
            continue
        check_sections(root, FILE_KEYS, problems)
        check_version(root, problems)
        found.append((path, root))
    return found


def _is_config(path: Path, root: Node) -> bool:
    return bool({"pipeline", "policies", "imports"} & set(root.mapping or {}))


def _is_imported(path: Path, paths: Iterable[Path], imported: list[Path]) -> bool:
    """Whether a file belongs to the importing project itself or to an imported one."""
    if any(path.is_relative_to(folder) for folder in imported):
        return True
    roots = [p for p in paths if path.is_relative_to(p)]
    between = [p for p in path.parents if any(p != root and p.is_relative_to(root) for root in roots)]
    return not any((folder / "domain.yml").is_file() or (folder / "config.yml").is_file() for folder in between)


def _read_domain(
    paths: ProjectPaths, imported: list[Path] | None, additions: DataAdditions, files: Files, problems: Problems
) -> Domain:
    parts: list[DomainPart] = []
    for path in _existing(paths.domain, files, problems):
        for file in domain_files(path):
            root = files.read_mapping(file)
            if root is None or (path.is_dir() and not holds_domain(root)):
                continue
            check_sections(root, FILE_KEYS, problems)
            check_version(root, problems)
            parts.append(read_domain_part(root, problems))
    for file in data_files(imported or []):
        root = files.read(file)
        if root is not None and root.mapping is not None and holds_only_domain(root):
            parts.append(read_domain_part(root, problems))
    return merge_domain(parts, additions, problems)


def _check_that_domain_says_something(domain: Domain, file: str, problems: Problems) -> None:
    """One error in place of one for each name that the stories and rules use."""
    if not (set(domain.source or ()) - {"version", "session_config", "e2e_actions"}):
        hint = "Add the intents and responses that stories and rules name."
        problems.error(Location(file), "The domain is empty.", hint)


def _read_endpoints(path: Path | None, files: Files, problems: Problems, *, is_served: bool) -> Endpoints:
    root = files.read_mapping(path, unset_ok=True) if path is not None else None
    return read_endpoints(root, problems, is_served=is_served) if root is not None else Endpoints()


def _read_tests(paths: ProjectPaths, problems: Problems) -> tuple[TestStory, ...]:
    """Test stories in the test folders; what is wrong in them does not refuse training, so it only warns."""
    found = Problems()
    tests = read_test_stories(paths.root, paths.tests, found)
    problems.warnings.extend((*found.errors, *found.warnings))
    return tests


def read_test_stories(root: Path, paths: Iterable[Path], problems: Problems) -> tuple[TestStory, ...]:
    """All test stories in the files and folders `paths`, with all that is wrong in `problems`."""
    files, collector = Files(root, problems), StoryCollector(problems)
    for path in data_files(paths):
        node = files.read_mapping(path) if is_test_file(path) else None
        if node is not None:
            check_version(node, problems)
            collector.read_file(node, is_test=True)
    return tuple(collector.tests)


def _bot_texts(stories: Iterable[Story]) -> tuple[str, ...]:
    return tuple(sorted({step.text for story in stories for step in story.steps if isinstance(step, BotStep)}))


def load_endpoints(path: Path, warned: list[Problem] | None = None) -> Endpoints:
    """Read an endpoints file by itself, as a deployment does; `warned` is added to. Raises ProjectError."""
    problems = Problems()
    endpoints = _read_endpoints(path, Files(path.parent, problems), problems, is_served=True)
    problems.raise_if_any()
    if warned is not None:
        warned += problems.warnings
    return endpoints
