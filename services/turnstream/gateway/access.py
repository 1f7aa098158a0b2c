"""Who may call the API, as Rasa has it: a shared token, and JSON Web Tokens with a role.

A JWT's payload is `{"user": {"username": "<conversation id>", "role": "user" | "admin"}}`: an admin may do everything,
a user only what concerns the conversation of that name. With neither configured, everybody may do everything.
"""

import hmac
from dataclasses import dataclass
from enum import Enum
from typing import Any

import jwt

from turnstream.runtime.errors import Forbidden, Unauthenticated
from turnstream.runtime.settings import GatewaySettings

BEARER = "bearer "
_NOT_AUTHENTICATED = "User is not authenticated."


class Access(Enum):
    """What a request needs: nothing, an admin, or the owner of the conversation that it names."""

    PUBLIC = "public"
    ADMIN = "admin"
    CONVERSATION = "conversation"


@dataclass(frozen=True, slots=True)
class Guard:
    """`jwt_key` is a secret, or a public key in PEM for the asymmetric methods."""

    token: str = ""
    jwt_key: str = ""
    jwt_method: str = "HS256"

    @classmethod
    def of(cls, settings: GatewaySettings) -> "Guard":
        return cls(settings.auth_token, settings.jwt_secret, settings.jwt_method)

    def check(
        self, access: Access, *, token: str | None = None, authorization: str | None, conversation_id: str | None
    ) -> None:
        """`authorization` is `Bearer` and the shared token or a JWT; REST may have the token in the query instead.

        Raises Unauthenticated, Forbidden.
        """
        if access is Access.PUBLIC or not (self.token or self.jwt_key):
            return
        bearer = _bearer(authorization)
        if self._is_token(token) or self._is_token(bearer):
            return
        if not self.jwt_key or bearer is None:
            raise Unauthenticated(_NOT_AUTHENTICATED)
        user = self._user(bearer)
        if user.get("role") == "admin":
            return
        own = user.get("role") == "user" and user.get("username") == conversation_id
        if not (access is Access.CONVERSATION and own):
            raise Forbidden("User has insufficient permissions.")

    def _is_token(self, given: str | None) -> bool:
        # Surrogates are what a header's bytes become that are no UTF-8.
        return bool(self.token) and given is not None and hmac.compare_digest(_bytes(given), _bytes(self.token))

    def _user(self, bearer: str) -> dict[str, Any]:
        try:
            payload = jwt.decode(bearer, self.jwt_key, algorithms=[self.jwt_method])
        except (jwt.PyJWTError, UnicodeEncodeError) as error:
            raise Unauthenticated(_NOT_AUTHENTICATED) from error
        user = payload.get("user")
        return user if isinstance(user, dict) else {}


def _bearer(authorization: str | None) -> str | None:
    if authorization is None or not authorization.lower().startswith(BEARER):
        return None
    return authorization[len(BEARER) :].strip()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
