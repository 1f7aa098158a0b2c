"""Whether a project that shares conversations with another engine says all that this needs."""

from turnstream.assistant.components.routers import IntentBasedRouterOptions, names_of
from turnstream.assistant.config import ComponentConfig
from turnstream.assistant.domain import ROUTE_TO_CALM_SLOT
from turnstream.assistant.problems import Problems, nearest
from turnstream.assistant.project import Project

ROUTER = IntentBasedRouterOptions.component_name


def check_routing(project: Project, problems: Problems) -> None:
    """Errors for a router without its slot or with unknown intents, warnings for what it will lack when it serves."""
    routers = [c for c in project.config.pipeline or () if c.name == ROUTER]
    _check_flows(project, bool(routers), problems)
    if not routers:
        return
    for second in routers[1:]:
        problems.error(second.location, f"{ROUTER} stands in the pipeline a second time.", "Keep one.")
    _check_slot(project, routers[0], problems)
    _check_intents(project, routers[0], problems)
    if project.endpoints.calm is None:
        hint = "Write 'calm_endpoint: {url: http://host:5055/webhook}', or grpc://host:port."
        problems.warning(routers[0].location, "No 'calm_endpoint' in the endpoints: nobody answers there.", hint)


def _check_slot(project: Project, router: ComponentConfig, problems: Problems) -> None:
    slot = project.domain.slots.get(ROUTE_TO_CALM_SLOT)
    hint = f"Write '{ROUTE_TO_CALM_SLOT}: {{type: bool, influence_conversation: false}}'."
    if slot is None:
        problems.error(router.location, f"{ROUTER} needs the slot '{ROUTE_TO_CALM_SLOT}' in the domain.", hint)
    elif slot.type != "bool" or slot.influence_conversation:
        message = f"The slot '{ROUTE_TO_CALM_SLOT}' must be a bool that does not influence the conversation."
        problems.error(slot.location, message, hint)


def _check_intents(project: Project, router: ComponentConfig, problems: Problems) -> None:
    seen: dict[str, str] = {}
    for key, entries in router.options.items():
        for entry, names in entries.items() if isinstance(entries, dict) else ():
            for name in names_of(names):
                place, location = f"{key}.{entry}", router.option_locations.get(key, router.location)
                if name not in project.domain.intents:
                    message = f"{ROUTER}: the intent '{name}' of '{place}' is not in the domain."
                    problems.error(location, message, nearest(name, project.domain.intents))
                elif name in seen:
                    problems.error(location, f"{ROUTER}: the intent '{name}' is in '{seen[name]}' and in '{place}'.")
                seen.setdefault(name, place)


def _check_flows(project: Project, has_router: bool, problems: Problems) -> None:
    for flow in project.flows:
        if not has_router:
            hint = f"Add {ROUTER} to the pipeline and the engine to the endpoints, or remove the flows."
            problems.warning(flow.location, f"The flow '{flow.name}' is not run here: another engine runs flows.", hint)
        for slot in flow.persisted_slots:
            if slot not in project.domain.slots:
                message = f"The flow '{flow.name}' persists the slot '{slot}', which is not in the domain."
                problems.error(flow.location, message, nearest(slot, project.domain.slots))
