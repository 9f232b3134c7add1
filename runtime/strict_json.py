"""JSON into dataclasses, strictly: an unknown, missing or mistyped key is refused by its name."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from typing import Any

from runtime.errors import CornerRTError


@dataclass(frozen=True)
class StrictParser:
    """Turns values of ``json.loads`` into a dataclass made of dataclasses, tuples and plain types.

    Attributes:
        error: What is raised.
        remedy: What to do about a file that lacks a key, such as "build again: make engine".
    """

    error: type[CornerRTError]
    remedy: str

    def parse(self, kind: Any, value: Any, where: str) -> Any:
        """Return a value as ``kind``.

        Args:
            kind: A dataclass, tuple, ``dict[str, ...]``, union or plain type; ``Any`` takes all.
            value: From ``json.loads``.
            where: Its place in the file, for the message.

        Raises:
            CornerRTError: Of the class ``error``, if it is something else; names the key.
        """
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if kind is Any:
            return value
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            return self._parse_dataclass(kind, value, where)
        if origin is tuple:
            return self._parse_tuple(arguments, value, where)
        if origin is dict:
            if not isinstance(value, dict):
                raise self.error(f"{where} is {value!r}; expected an object")
            return {k: self.parse(arguments[1], v, f"{where}:{k}") for k, v in value.items()}
        allowed = arguments if origin in (typing.Union, types.UnionType) else (kind,)
        return self._parse_plain(allowed, value, where)

    def _parse_tuple(self, kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise self.error(f"{where} is {value!r}; expected a list")
        each = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else list(kinds)
        if len(each) != len(value):
            raise self.error(f"{where} has {len(value)} entries; expected {len(each)}")
        pairs = zip(each, value, strict=True)
        return tuple(self.parse(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(pairs))

    def _parse_plain(self, allowed: tuple[Any, ...], value: Any, where: str) -> Any:
        """Return a value that is of one of the types, or a section that may be None.

        Of several sections it is the one whose keys fit best, the first of equals.
        """
        sections = [a for a in allowed if dataclasses.is_dataclass(a)]
        section = min(sections, key=lambda a: _misfits(a, value), default=None)
        if section is not None and value is not None:
            return self.parse(section, value, where)
        if float in allowed and isinstance(value, int | float) and not isinstance(value, bool):
            return self._parse_number(value, where)
        if isinstance(value, bool) is not (bool in allowed) or not isinstance(value, allowed):
            if section is not None:
                raise self.error(f"{where} is {value!r}; expected an object")
            names = " or ".join(a.__name__ for a in allowed)
            raise self.error(f"{where} is {value!r}; expected {names}")
        return value

    def _parse_number(self, value: float, where: str) -> float:
        """Return a number; JSON has no others than finite ones, but Python reads NaN and 1e999."""
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.error(f"{where} is {number}; expected a finite number")
        return number

    def _parse_dataclass(self, kind: Any, value: Any, where: str) -> Any:
        """Build a dataclass from a JSON object whose keys must be its fields.

        Only a field whose default is None, and a switch that is off by default, may be absent:
        older files lack those that came later.
        """
        if not isinstance(value, dict):
            raise self.error(f"{where} is {value!r}; expected an object")
        hints = typing.get_type_hints(kind)
        if unknown := sorted(set(value) - set(hints)):
            raise self.error(f"{where} has unknown key {unknown[0]!r}; expected {sorted(hints)}")
        if missing := sorted(set(hints) - _optional(kind) - set(value)):
            raise self.error(f"{where} lacks key {missing[0]!r}; {self.remedy}")
        return kind(**{k: self.parse(hints[k], v, f"{where}:{k}") for k, v in value.items()})


def _optional(kind: Any) -> set[str]:
    """Return the fields of a dataclass that a file may lack."""
    fields = dataclasses.fields(kind)
    return {field.name for field in fields if field.default is None or field.default is False}


def _misfits(kind: Any, value: Any) -> int:
    """Count the keys that a dataclass does not know, and those that it lacks."""
    if not isinstance(value, dict):
        return 0
    names = {field.name for field in dataclasses.fields(kind)}
    return len(set(value) - names) + len(names - _optional(kind) - set(value))
