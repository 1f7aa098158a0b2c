"""Checks over a whole project: whether what one file names is there in another."""

from turnstream.assistant.check_config import check_components, check_data_is_read, check_policies, check_selectors
from turnstream.assistant.check_dialogue import check_dialogue
from turnstream.assistant.check_domain import check_domain
from turnstream.assistant.check_routing import check_routing
from turnstream.assistant.check_usage import check_usage
from turnstream.assistant.problems import Problems
from turnstream.assistant.project import Project
from turnstream.assistant.reader import ProjectPaths, ReadResult, read_into


def validate_project(project: Project) -> Problems:
    """All that is wrong with a project that was read: errors refuse training, warnings do not.

    Contradictions between rules and stories are found when the rules are trained.
    """
    problems = Problems()
    policies = check_components(project.config, problems)
    check_policies(project, policies, problems)
    check_selectors(project, problems)
    check_data_is_read(project, problems)
    check_routing(project, problems)
    check_domain(project, problems)
    check_dialogue(project, problems)
    check_usage(project, problems)
    return problems


def load_project(paths: ProjectPaths) -> ReadResult:
    """Read and validate a project. Raises ProjectError with all problems of both.

    Where the domain could not be read, its names are unknown, and only the components are checked.
    """
    problems = Problems()
    reading = read_into(paths, problems)
    if reading.names_are_known:
        found = validate_project(reading.project)
    else:
        found = Problems()
        check_components(reading.project.config, found)
    problems.errors.extend(found.errors)
    problems.warnings.extend(found.warnings)
    problems.raise_if_any()
    return ReadResult(reading.project, tuple(sorted(set(problems.warnings))))
