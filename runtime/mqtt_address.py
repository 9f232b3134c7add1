"""Where an MQTT broker is, and what topics are called there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from runtime.credentials import expand_environment
from runtime.errors import UsageError

PORTS = {"mqtt": 1883, "mqtts": 8883}  # as registered with IANA
DEFAULT_PREFIX = "cornerrt"
LONGEST_PREFIX = 200  # leaves room within the 65,535 bytes that a topic may have
# A name, in any script, or a number; the last may name the interface of a link-local address.
HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+(%[\w.-]+)?")
# Separates levels, matches any of them, or cannot be printed; and what marks a replacement.
UNSAFE_IN_LEVEL = re.compile("[/+#%\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class MqttAddress:
    """A broker, and how to log in.

    Attributes:
        host: Its name or number.
        port: From 1.
        is_tls: Whether the connection is encrypted and the broker must prove its name.
        prefix: First levels of every topic.
        username: None for none.
        password: None for none; not part of the representation.
    """

    host: str
    port: int
    is_tls: bool
    prefix: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return it without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.is_tls else 'mqtt'}://{host}:{self.port}"

    @property
    def status_topic(self) -> str:
        """Where "online" or "offline" stands."""
        return f"{self.prefix}/status"

    def detections_topic(self, camera: str) -> str:
        """Return where a camera's results go; different for different names."""
        return f"{self.prefix}/{topic_level(camera)}/detections"


def parse_address(text: str) -> MqttAddress:
    """Return the broker that ``mqtt://user:${PASSWORD}@host:port/prefix`` names.

    User and password may be percent-encoded; the value of ``${NAME}`` may hold any character.

    Raises:
        UsageError: If it is no such address, or names a variable that is not set. Says nothing of
            the text itself: where it is malformed, any part may be that of a password.
    """
    try:
        address = expand_environment(text)
    except UsageError as error:
        raise UsageError(f"--mqtt {error}") from None
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:  # includes UnicodeError
        raise _malformed("its host or port is none") from None
    if parts.scheme not in PORTS:
        raise _malformed("it begins differently")
    if parts.query or parts.fragment or not host or port == 0:
        raise _malformed("its host or port is missing, or it has a '?' or '#'")
    if HOST.fullmatch(host) is None:
        raise _malformed("its host has a space, or another character that no name has")
    return MqttAddress(
        host,
        port or PORTS[parts.scheme],
        parts.scheme == "mqtts",
        _prefix(parts.path),
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


def topic_level(name: str) -> str:
    """Return a name as one level of a topic: what is not allowed there is percent-encoded."""

    def encode(match: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))

    return UNSAFE_IN_LEVEL.sub(encode, name)


def _prefix(path: str) -> str:
    prefix = unquote(path).strip("/") or DEFAULT_PREFIX
    levels = prefix.split("/")
    is_unsafe = any(not level or UNSAFE_IN_LEVEL.search(level) for level in levels)
    if is_unsafe or prefix.startswith("$") or len(prefix) > LONGEST_PREFIX:
        raise _malformed(
            f"its prefix is empty in a level, longer than {LONGEST_PREFIX}, begins with '$' or has "
            "'+', '#', '%'"
        )
    return prefix


def _malformed(reason: str) -> UsageError:
    return UsageError(
        f"--mqtt got an address that cannot be used: {reason}; expected "
        "mqtt://user:${PASSWORD}@host:1883/prefix, special characters of a password written as "
        "%XX or in an environment variable"
    )
