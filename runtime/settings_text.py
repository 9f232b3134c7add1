"""Print the effective options as a TOML file that says where each came from, without secrets."""

from __future__ import annotations

import argparse
import enum
import json
import re
from dataclasses import dataclass
from typing import Any

from runtime.command_line import CommandParser
from runtime.credentials import HIDDEN, redact_address
from runtime.errors import UsageError
from runtime.settings_file import Settings, partial_parser, tables_of

HEADER = """\
# All options of {program}. Lines that begin with # are the defaults; those without a value are
# explained by --help. Relative paths start at the working directory, as on the command line."""

# Not those that name a file with the secret in it: their names end in _file.
_SECRET_OPTION = re.compile(r"(?:^|_)(?:password|token|secret)$")
_VARIABLE = re.compile(r"\$\{[^${}]*\}")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True)
class _Written:
    """A value as it was written, and where."""

    value: Any
    origin: str


def settings_text(parser: CommandParser, settings: Settings) -> str:
    """Return all options as a file for ``--config``, in UTF-8.

    What was given stands there as it was written, defaults stand there as comments. A value with a
    password or token in it has ``***`` instead, and is a comment, too: reading it back would use
    the stars. ``${NAME}`` of an environment variable is no secret and stays.

    Args:
        parser: That ``settings`` were read with.
        settings: What to print.

    Raises:
        UsageError: If a value is no text, such as a file name in another encoding.
    """
    written = _written_values(parser, settings)
    partial = partial_parser(parser)
    lines = [HEADER.format(program=parser.prog)]
    for table, actions in tables_of(parser).items():
        lines += ["", f"[{table}]"]
        for key, action in actions.items():
            if action.dest in written:
                typed = getattr(settings.namespace, action.dest)
                lines.append(_given_line(key, action, written[action.dest], typed))
            else:
                default = _default_text(partial, action, parser.get_default(action.dest))
                lines.append(f"# {key} = {default}".rstrip())
    return _utf8("\n".join(lines) + "\n")


def _written_values(parser: CommandParser, settings: Settings) -> dict[str, _Written]:
    """Return what was given, as it was written, by the option's ``dest``."""
    raw = partial_parser(parser)
    for action in raw._actions:
        action.type = None
        action.choices = None
    on_command_line = vars(raw.parse_args(settings.command_line))
    written = {dest: _Written(s.value, s.place) for dest, s in settings.from_file.items()}
    written |= {dest: _Written(value, "command line") for dest, value in on_command_line.items()}
    return written


def _given_line(key: str, action: argparse.Action, written: _Written, typed: Any) -> str:
    texts = _texts(written.value)
    shown = [_redact(action, text) for text in texts]
    line = f"{key} = {_toml_value(written.value, shown, isinstance(typed, int | float))}"
    if shown == texts:
        return f"{line}  # {written.origin}"
    return f"# {line}  # {written.origin}; {HIDDEN} hides a secret"


def _texts(value: Any) -> list[str]:
    """Return a given value's words; a flag has none."""
    items = value if isinstance(value, list) else [value]
    return [str(item) for item in items if not isinstance(item, bool)]


def _redact(action: argparse.Action, text: str) -> str:
    """Hide what is secret in a word, but for names of environment variables."""
    hidden = HIDDEN if _SECRET_OPTION.search(action.dest) else redact_address(text)
    pattern = r"(\S*?)".join(map(re.escape, hidden.split(HIDDEN)))
    match = re.fullmatch(pattern, text)
    if match is None:
        return hidden
    secrets = iter(match.groups())
    return re.sub(re.escape(HIDDEN), lambda _: _variable_or_stars(next(secrets)), hidden)


def _variable_or_stars(secret: str) -> str:
    return secret if _VARIABLE.fullmatch(secret) else HIDDEN


def _toml_value(value: Any, shown: list[str], is_number: bool) -> str:
    """Return a value in TOML, with its words as they may be shown."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_string, shown)) + "]"
    if is_number and _NUMBER.fullmatch(shown[0]):
        return shown[0]
    return _toml_string(shown[0])


def _toml_string(text: str) -> str:
    """Quote a text; TOML's escapes are JSON's, and it wants one for the delete character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _default_text(partial: CommandParser, action: argparse.Action, default: Any) -> str:
    """Return a default in TOML; nothing if it is not set or no word of the user's stands for it."""
    if default is None:
        return ""
    if isinstance(default, list) and not default:
        return "[]"
    if isinstance(default, bool):
        return str(default).lower()
    text = str(default.value if isinstance(default, enum.Enum) else default)
    option = action.option_strings[0]
    try:
        read_back = getattr(partial.parse_args([f"{option}={text}"]), action.dest)
    except UsageError:
        return ""
    is_number = isinstance(default, int | float)
    return _toml_value(text, [text], is_number) if read_back == default else ""


def _utf8(text: str) -> str:
    """Refuse what UTF-8 cannot hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        wrong = text[error.start : error.end]
        raise UsageError(
            f"got {wrong!r} in a value; expected UTF-8, which TOML is written in; rename that file"
        ) from None
    return text
