"""Addresses of network cameras, and how to keep their passwords out of every message.

The module is not named after secrets: the standard library has one of that name.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from runtime.errors import UsageError

HIDDEN = "***"
_VARIABLE = re.compile(r"\$\{([^${}]*)\}")
# Up to the last @ of the word: a password may hold an @, and by mistake a slash.
_LOGIN = re.compile(r"(?<=://)\S*(?=@)")
# Cameras that take the password as a parameter: .../video.cgi?user=a&pwd=b
_SECRET_PARAMETER = re.compile(
    r"(?i)(?<=[?&;])((?:pass(?:word|wd)?|pwd|pw|token|auth|api_?key|key|secret)=)[^&;#\s]+"
)


@dataclass(frozen=True)
class NetworkAddress:
    """Where a network camera is, with the password kept apart. Safe to print.

    Attributes:
        location: The address without user and password, for those that take them separately.
        user: None where the address names none.
        password: As the camera wants it, decoded; not part of the representation.
    """

    location: str = field(repr=False)
    user: str | None
    password: str | None = field(repr=False)
    _secrets: tuple[str, ...] = field(repr=False, default=())

    @property
    def with_login(self) -> str:
        """The whole address, secrets included, for a library that takes nothing else."""
        if self.user is None:
            return self.location
        login = quote(self.user, safe="")
        if self.password is not None:
            login += ":" + quote(self.password, safe="")
        return self.location.replace("://", f"://{login}@", 1)

    def scrub(self, text: str) -> str:
        """Hide this address's secrets in somebody else's text, and every login in it."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            # A short one is part of many words, which shall stay readable.
            word = rf"(?<!\w){re.escape(secret)}(?!\w)" if len(secret) < 4 else re.escape(secret)
            text = re.sub(word, HIDDEN, text)
        return redact_address(text)


def parse_address(address: str) -> NetworkAddress:
    """Split an address into what may be shown and what may not.

    Args:
        address: Such as ``rtsp://user:${PASSWORD}@host:554/path``; variables are expanded.

    Raises:
        UsageError: If it is no address with a host, or a variable is not set; the message holds
            no secret.
    """
    shown = redact_address(address)
    address = expand_environment(address)
    try:
        parts = urlsplit(address)
        has_host = bool(parts.hostname) and parts.port is not False
    except ValueError:  # a port that is no number, a bracket that is not closed
        has_host = False
    if not has_host or any(character.isspace() for character in address):
        raise UsageError(
            f"got the address {shown!r}; expected one such as rtsp://user:password@host:554/path"
            "; write spaces and the characters /?#[]@ of a password as %20, %2F and so on"
        )
    login, _, host = parts.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    return NetworkAddress(
        location=urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment)),
        user=unquote(user) if login else None,
        password=unquote(password) if colon else None,
        _secrets=_secrets_of(password, address),
    )


def redact_address(text: str) -> str:
    """Hide passwords of all addresses in a text; users stay, they help to find a mistake.

    >>> redact_address("rtsp://admin:1234@10.0.0.5/live?token=abc")
    'rtsp://admin:***@10.0.0.5/live?token=***'
    """
    text = _LOGIN.sub(_hide_password, text)
    return _SECRET_PARAMETER.sub(rf"\g<1>{HIDDEN}", text)


def expand_environment(address: str) -> str:
    """Replace each ``${NAME}`` by that environment variable, so that no file holds a password.

    In the part before the @ the value is encoded: a password may hold any character.

    Raises:
        UsageError: If a variable is not set.
    """

    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        value = os.environ.get(name)
        if value is None:
            raise UsageError(
                f"{redact_address(address)} names the environment variable {name!r}, which is not "
                "set; set it, or write the address without it"
            )
        rest = address[match.end() :]
        is_login = (
            "://" in address[: match.start()] and "@" in re.split("[/?#]", rest, maxsplit=1)[0]
        )
        return quote(value, safe="") if is_login else value

    return _VARIABLE.sub(value_of, address)


def _hide_password(login: re.Match[str]) -> str:
    user, colon, _ = login.group().partition(":")
    return user + (colon and f":{HIDDEN}")


def _secrets_of(password: str, address: str) -> tuple[str, ...]:
    """Return what must not be shown, in every form that a foreign program may print."""
    plain = unquote(password)
    forms = {password, plain, quote(plain, safe=""), quote(plain)}
    forms |= {match.group().split("=", 1)[1] for match in _SECRET_PARAMETER.finditer(address)}
    return tuple(sorted(forms - {""}))
