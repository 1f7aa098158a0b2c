"""What is wrong in the `action_endpoint` of endpoints.yml, told before the first action is called."""

from collections.abc import Mapping
from typing import Final

from turnstream.assistant.fields import Fields, shown
from turnstream.assistant.problems import Problems, nearest

SCHEMES: Final = ("http", "https", "grpc")
KEYS: Final = (
    "url",
    "actions_module",
    "type",
    "token",
    "token_name",
    "headers",
    "params",
    "basic_auth",
    "cafile",
    "ssl_client_cert",
    "ssl_client_key",
    "enable_selective_domain",
    "timeout_s",
    "timeouts_s",
)


def check_action_endpoint(fields: Fields, problems: Problems) -> None:
    """Unknown keys are warnings, as Rasa lets them stand; limits that are no positive numbers are errors."""
    for key in fields:
        if key not in KEYS:
            problems.warning(fields.at(key), f"{fields.what}: unknown key '{key}'.", nearest(str(key), KEYS))
    _check_url(fields, problems)
    fields.flag("enable_selective_domain", False)
    _check_limit("timeout_s", fields.plain("timeout_s"), fields, problems)
    limits = fields.plain("timeouts_s")
    if isinstance(limits, Mapping):
        for action, limit in limits.items():
            _check_limit("timeouts_s", limit, fields, problems, f" of '{action}'")
    elif limits is not None:
        hint = "Write 'timeouts_s: {action_slow: 20}'."
        problems.error(fields.at("timeouts_s"), f"{fields.what}: 'timeouts_s' must be a mapping.", hint)


def _check_url(fields: Fields, problems: Problems) -> None:
    url = str(fields.plain("url") or "")
    scheme, separator, _ = url.partition("://")
    if separator and scheme not in SCHEMES:
        hint = "Write 'grpc://' and give 'cafile'." if scheme == "grpcs" else nearest(scheme, SCHEMES)
        problems.error(fields.at("url"), f"{fields.what}: the url begins with the unknown '{scheme}://'.", hint)
    elif url and not separator and not url.startswith("${"):
        message = f"{fields.what}: the url '{url}' has no scheme, so that no action can be called."
        problems.warning(fields.at("url"), message, f"Write 'http://{url}'.")


def _check_limit(key: str, value: object, fields: Fields, problems: Problems, whose: str = "") -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and value > 0):  # type: ignore[operator]
        message = f"{fields.what}: '{key}'{whose} must be a positive number of seconds, not {shown(value)}."
        problems.error(fields.at(key), message)
