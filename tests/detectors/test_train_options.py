"""Options are checked wherever they come from."""

from __future__ import annotations

import dataclasses

import pytest

from detectors.train_options import RECIPES, TrainOptions, check_options
from runtime.errors import UsageError
from tests.detectors.tiny_training import tiny_options


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_recipe_sets_fields_that_exist_to_values_that_make_sense(recipe):
    check_options(TrainOptions("cornernet-nano", (64, 64), **RECIPES[recipe]))
    assert RECIPES[recipe].keys() <= {field.name for field in dataclasses.fields(TrainOptions)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accumulate": 0}, "--steps, --batch and --accumulate must be at least 1"),
        ({"rate": 0.0}, "--rate must be positive"),
        ({"warmup": -1}, "--warmup at least 0"),
        ({"average_decay": float("nan")}, "--average-decay is nan; expected 0 or more"),
        ({"zoom_chance": -0.1}, "--zoom-chance is -0.1; expected 0 to 1"),
        ({"decay_at": 1.5}, "--decay-at is 1.5; expected 0 to 1"),
        ({"max_gradient_norm": float("inf")}, "--max-gradient-norm is inf; expected 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_option(changes, message):
    with pytest.raises(UsageError, match=message):
        check_options(tiny_options(**changes))


def test_limits_themselves_are_fine():
    check_options(tiny_options(zoom_chance=1.0, average_decay=0.0, max_gradient_norm=0.0))
