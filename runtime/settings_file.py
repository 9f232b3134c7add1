"""Options from a TOML file: each stands in the table named as its group, the command line wins.

A line of the file means what the option means on the command line: the parser itself reads the
values, so both accept the same and complain alike, the file with its name and line in front.
Options outside the titled groups (``--help``, ``--config``, ...) say what the program is to do at
all and cannot stand in a file.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import difflib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.command_line import CommandParser
from runtime.errors import UsageError
from runtime.toml_file import TomlFile, read_toml

Tables = Mapping[str, Mapping[str, argparse.Action]]  # the options by table and key

_OPTION = re.compile(r"(?<![\w-])--([a-z0-9][a-z0-9-]*)")


@dataclass(frozen=True)
class FileSetting:
    """One option that the file sets.

    Attributes:
        action: The option.
        value: As the file has it.
        place: ``FILE:LINE``.
        words: What would say the same on the command line; none for a flag that is false.
    """

    action: argparse.Action
    value: Any
    place: str
    words: list[str]


@dataclass(frozen=True)
class Settings:
    """What a command was told by its command line and its file.

    Attributes:
        namespace: The effective values, as the parser returns them.
        command_line: The command line's words.
        from_file: What the file sets and the command line does not, by the option's ``dest``.
    """

    namespace: argparse.Namespace
    command_line: list[str]
    from_file: Mapping[str, FileSetting] = field(default_factory=dict)

    @contextlib.contextmanager
    def errors_with_lines(self) -> Iterator[None]:
        """Name file and line of each option in a ``UsageError`` that is raised in the block."""
        try:
            yield
        except UsageError as error:
            places = {key_of(s.action): s.place for s in self.from_file.values()}

            def with_place(option: re.Match[str]) -> str:
                place = places.pop(option[1], None)  # once is enough
                return f"{option[0]} ({place})" if place else option[0]

            raise UsageError(_OPTION.sub(with_place, str(error))) from None


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--config`` and ``--print-config``."""
    parser.add_argument(
        "--config",
        metavar="FILE.toml",
        type=Path,
        help="read options from this file; those on the command line come before it",
    )
    parser.add_argument(
        "--print-config",
        action="store_true",
        help="print all options as such a file, passwords hidden, and end",
    )


def parse_with_settings(
    parser: CommandParser, arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """Parse a command line and the file that its ``--config`` names; see ``read_settings``."""
    return read_settings(parser, arguments).namespace


def read_settings(parser: CommandParser, arguments: Sequence[str] | None = None) -> Settings:
    """Parse a command line and the file that its ``--config`` names.

    An option on the command line replaces the file's, a repeatable one with all its values, and
    sets aside what the file says about options that exclude it.

    Args:
        parser: With ``add_config_arguments``; its options' groups become the file's tables.
        arguments: Words of the command line; None for the process's own.

    Raises:
        UsageError: If the command line or the file makes no sense.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    partial = partial_parser(parser)
    given = vars(partial.parse_args(words))
    if "config" not in given:
        return Settings(parser.parse_args(words), words)
    in_file = _settings_in(read_toml(given["config"]), parser, partial)
    rivals = _rivals(parser)
    _check_rivals(in_file, rivals)
    used = [
        setting
        for setting in in_file
        if not given.keys() & {setting.action.dest, *rivals.get(setting.action.dest, ())}
    ]
    try:
        namespace = parser.parse_args([word for s in used for word in s.words] + words)
    except UsageError as error:  # each part is sound: something that is required is in neither
        raise UsageError(f"with {given['config']}: {error}") from None
    return Settings(namespace, words, {setting.action.dest: setting for setting in used})


def tables_of(parser: argparse.ArgumentParser) -> Tables:
    """Return the options that a file may set, by table and key, in the parser's order."""
    own = (parser._positionals, parser._optionals)  # of every parser; they hold what is no setting
    tables: dict[str, dict[str, argparse.Action]] = {}
    for group in parser._action_groups:
        if group not in own and group.title:
            actions = {key_of(action): action for action in group._group_actions}
            tables.setdefault(group.title, {}).update(actions)
    return tables


def key_of(action: argparse.Action) -> str:
    """Return an option's name in a file: as on the command line, without dashes in front."""
    return action.option_strings[0].lstrip("-")


def partial_parser(parser: CommandParser) -> CommandParser:
    """Return a copy whose result holds only what was given, and that requires nothing."""
    partial = copy.deepcopy(parser)
    for action in partial._actions:
        action.default = argparse.SUPPRESS
        action.required = False
    for group in partial._mutually_exclusive_groups:
        group.required = False
    return partial


def _settings_in(
    file: TomlFile, parser: CommandParser, partial: CommandParser
) -> list[FileSetting]:
    tables = tables_of(parser)
    found = []
    for table, content in file.values.items():
        if table not in tables or not isinstance(content, dict):
            raise UsageError(f"{file.place(table)}: {_unknown_table(table, tables)}")
        for key, value in content.items():
            place = file.place(table, key)
            if key not in tables[table]:
                raise UsageError(f"{place}: {_unknown_key(key, table, tables)}")
            action = tables[table][key]
            try:
                words = _words(action, value)
                partial.parse_args(words)
            except UsageError as error:
                raise UsageError(f"{place}: {error}") from None
            found.append(FileSetting(action, value, place, words))
    return found


def _words(action: argparse.Action, value: Any) -> list[str]:
    """Return what gives an option this value on the command line."""
    option = action.option_strings[0]
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise _wrong_type(option, value, "true or false")
        return [option] if value else []
    is_repeatable = isinstance(action, argparse._AppendAction)
    expected = "a string or number" + (", or a list of them" if is_repeatable else "")
    items = value if is_repeatable and isinstance(value, list) else [value]
    assert action.nargs is None, f"{option}: options with several words have no form in a file"
    if wrong := [item for item in items if type(item) not in (str, int, float)]:
        raise _wrong_type(option, wrong[0], expected)
    return [f"{option}={_expand_home(str(item))}" for item in items]


def _expand_home(text: str) -> str:
    """Do what a shell does with ``~/``, so that a file needs no other spelling."""
    return str(Path(text).expanduser()) if text.startswith("~/") else text


def _wrong_type(option: str, value: Any, expected: str) -> UsageError:
    kinds = {bool: "true or false", str: "a string", int: "a number", float: "a number"}
    kinds |= {list: "a list", dict: "a table"}
    got = kinds.get(type(value), "a date or time")
    return UsageError(f"argument {option}: got {got}; expected {expected}")


def _unknown_table(name: str, tables: Tables) -> str:
    for table, actions in tables.items():
        if name in actions:
            return f"got {name} outside its table; expected it below [{table}]"
    if name in tables:
        return f"got {name} as a value or list; expected the table [{name}]"
    close = difflib.get_close_matches(name, tables, 1)
    hint = f"[{close[0]}]" if close else "one of " + ", ".join(f"[{table}]" for table in tables)
    return f"got the unknown table [{name}]; expected {hint}"


def _unknown_key(key: str, table: str, tables: Tables) -> str:
    for other, actions in tables.items():
        if key in actions:
            return f"got {key} in [{table}]; expected it in [{other}]"
    close = difflib.get_close_matches(key, tables[table], 1)
    hint = close[0] if close else "one of " + ", ".join(tables[table])
    return f"got the unknown key {key} in [{table}]; expected {hint}"


def _rivals(parser: argparse.ArgumentParser) -> dict[str, set[str]]:
    """Return the options that exclude each option, by ``dest``."""
    rivals: dict[str, set[str]] = {}
    for group in parser._mutually_exclusive_groups:
        names = {action.dest for action in group._group_actions}
        for name in names:
            rivals.setdefault(name, set()).update(names - {name})
    return rivals


def _check_rivals(settings: Sequence[FileSetting], rivals: Mapping[str, set[str]]) -> None:
    seen: dict[str, FileSetting] = {}
    for setting in settings:
        for name in rivals.get(setting.action.dest, ()):
            if setting.words and name in seen:
                raise UsageError(
                    f"{setting.place}: got {key_of(setting.action)} beside "
                    f"{key_of(seen[name].action)} of {seen[name].place}; expected one of them"
                )
        if setting.words:
            seen[setting.action.dest] = setting
