"""The keys of domain, stories and rules."""

from collections.abc import Iterator

from turnstream.assistant import domain_files, forms_reader, responses_reader, slots_reader, story_reader

from reference import meanings
from reference.tables import described


def page() -> Iterator[str]:
    """docs/reference/domain.md"""
    yield "The format is that of Rasa 3.1. An unknown key is refused with its line and the nearest name.\n"
    slot_keys = (*slots_reader.COMMON_KEYS, *(key for keys in slots_reader.TYPE_KEYS.values() for key in keys))
    for title, keys, told in (
        ("The domain", ("version", *domain_files.DOMAIN_KEYS), meanings.DOMAIN),
        ("An intent", domain_files.INTENT_KEYS, meanings.INTENT),
        ("An entity", domain_files.ENTITY_KEYS, meanings.ENTITY),
        ("A slot", slot_keys, meanings.SLOT),
        ("A slot's mapping", slots_reader.MAPPING_KEYS, meanings.MAPPING),
        ("A form", forms_reader.FORM_KEYS, meanings.FORM),
        ("A response's variation", responses_reader.VARIATION_KEYS, meanings.VARIATION),
        ("session_config", meanings.SESSION, meanings.SESSION),
        ("A story", story_reader.STORY_KEYS, meanings.STORY),
        ("A rule", story_reader.RULE_KEYS, meanings.RULE),
        ("A step", story_reader.STEP_KEYS, meanings.STEP),
    ):
        yield f"## {title}\n"
        yield from described(keys, told)
