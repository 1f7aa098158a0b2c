"""What is wrong in the `nlg` section of endpoints.yml, told before the first response is worded."""

from typing import Final

from turnstream.assistant.fields import Fields, shown
from turnstream.assistant.problems import Problems, nearest

KEYS: Final = ("url", "type", "params", "headers", "basic_auth", "token", "token_name", "timeout_s")
TYPES: Final = ("callback", "response")
"""An outside server, and the domain's own responses."""


def check_nlg_endpoint(fields: Fields, problems: Problems) -> None:
    """Unknown keys are warnings, as Rasa lets them stand; a class of the author's is an error."""
    for key in fields:
        if key not in KEYS:
            problems.warning(fields.at(key), f"{fields.what}: unknown key '{key}'.", nearest(str(key), KEYS))
    kind, url = fields.plain("type"), fields.plain("url")
    if kind is not None and kind not in TYPES:
        hint = "Run it as a server of its own, and give its 'url'." if "." in str(kind) else nearest(str(kind), TYPES)
        problems.error(fields.at("type"), f"{fields.what}: the type '{kind}' is not supported.", hint)
    elif kind != "response" and not str(url or "").startswith(("http://", "https://")):
        hint = "Such as 'url: http://localhost:5056/nlg'."
        problems.error(fields.at("url"), f"{fields.what}: 'url' must begin with http:// or https://.", hint)
    limit = fields.plain("timeout_s")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or limit <= 0):
        message = f"{fields.what}: 'timeout_s' must be a positive number of seconds, not {shown(limit)}."
        problems.error(fields.at("timeout_s"), message)
