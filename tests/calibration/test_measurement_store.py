"""Finished measurements survive, unless what they depend on has changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calibration.measurement_store import MeasurementStore

KEY = {"model": "1", "images": "2"}


def test_figures_are_found_again_whatever_the_order(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "figures.json"
    store = MeasurementStore(path, KEY)
    store.put(["a", "b"], 0.5)
    store.put([], 0.25)
    again = MeasurementStore(path, KEY)
    assert again.get(["b", "a"]) == 0.5 and again.get([]) == 0.25
    assert again.get(["a"]) is None
    assert len(again) == 2 and again.changed == ()


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        (KEY | {"model": "3"}, ("model",)),
        ({"model": "1"}, ("images",)),
        (KEY | {"options": "4"}, ("options",)),
    ],
)
def test_another_key_forgets_them_and_says_what_changed(
    tmp_path: Path, key: dict[str, str], changed: tuple[str, ...]
) -> None:
    path = tmp_path / "figures.json"
    MeasurementStore(path, KEY).put(["a"], 0.5)
    store = MeasurementStore(path, key)
    assert store.get(["a"]) is None and store.changed == changed
    store.put(["b"], 1.0)
    assert MeasurementStore(path, key).get(["b"]) == 1.0
    assert MeasurementStore(path, key).get(["a"]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        json.dumps({"key": KEY}),
        json.dumps({"key": KEY, "figures": {"a": []}}),
    ],
)
def test_a_damaged_file_is_no_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "figures.json"
    path.write_text(text)
    store = MeasurementStore(path, KEY)
    assert len(store) == 0 and store.changed == ("file",)


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    store = MeasurementStore()
    store.put(["a"], 0.5)
    assert store.get(["a"]) == 0.5 and list(tmp_path.iterdir()) == []
