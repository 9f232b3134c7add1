"""Read a TOML file and remember in which line each of its keys stands, for messages."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import UsageError

KeyPath = tuple[str, ...]  # ("sources", "camera") is the key camera of the table [sources]

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True)
class TomlFile:
    """What a TOML file says.

    Attributes:
        path: The file, as the user named it.
        values: Its tables and keys.
        lines: The line, from 1, in which each table and key begins.
    """

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[KeyPath, int]

    def place(self, *keys: str) -> str:
        """Return ``FILE:LINE`` of a table or key."""
        return f"{self.path}:{self.lines[keys]}"


def read_toml(path: Path) -> TomlFile:
    """Read a file.

    Raises:
        UsageError: If it cannot be read or is not TOML; names the file and, where there is one, the
            line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # some editors put a mark at the beginning
    except OSError as error:
        raise UsageError(
            f"cannot read {path} ({error.strerror}); expected a TOML file of settings"
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: got bytes that are not UTF-8; save it as UTF-8") from None
    parse, syntax_error = _parser()
    try:
        values = parse(text)
    except syntax_error as error:
        reason, line = _reason_and_line(str(error), text)
        raise UsageError(f"{path}:{line}: not TOML: {reason}") from None
    return TomlFile(path, values, key_lines(text))


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line in which each table and key of a TOML text begins.

    Every statement of TOML is valid alone. So lines are gathered until they can be parsed; a value
    that goes on over several lines cannot before it is complete.
    """
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement, parsed in _statements(text):
        is_header = statement.lstrip().startswith("[")
        paths = list(_key_paths(parsed))
        if is_header:
            table = paths[-1]
        for path in paths:
            found.setdefault(path if is_header else table + path, line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield each statement's first line, text and value; an unfinished one at the end has none."""
    parse, syntax_error = _parser()
    gathered, first = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        gathered += line + "\n"
        try:
            parsed = parse(gathered)
        except syntax_error:
            continue
        yield first, gathered, parsed
        gathered, first = "", number + 1
    if gathered:
        yield first, gathered, {}


def _key_paths(values: Mapping[str, Any]) -> Iterator[KeyPath]:
    for key, value in values.items():
        yield (key,)
        if isinstance(value, dict):
            for rest in _key_paths(value):
                yield (key, *rest)


def _reason_and_line(message: str, text: str) -> tuple[str, int]:
    """Take the parser's message apart; what has no end is named by its beginning."""
    place = _PLACE.search(message)
    reason = message[: place.start()] if place else message
    if place and place[1]:
        return reason, int(place[1])
    return f"{reason}; it has no end", [first for first, _, _ in _statements(text)][-1]


def _parser() -> tuple[Any, type[ValueError]]:
    # Inside a function: without a settings file Python 3.10 needs no tomli.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads, tomllib.TOMLDecodeError
