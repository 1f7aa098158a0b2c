"""All targets, by name."""

from collections.abc import Mapping

from fuzz import json_readers, log_readers, message_readers, wire_readers, yaml_readers
from fuzz.target import Target

TARGETS: Mapping[str, Target] = {
    target.name: target
    for module in (yaml_readers, wire_readers, log_readers, json_readers, message_readers)
    for target in module.TARGETS
}
