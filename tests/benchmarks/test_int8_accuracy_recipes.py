"""A recipe gives what ``calibration.calibrate`` gives with the same options."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import ModelProto

from benchmarks.int8_accuracy_bench import Bench
from benchmarks.int8_accuracy_recipes import Observations, Recipe, recipe_candidates
from calibration.calibrate import make_quantizable
from calibration.effort import Effort
from calibration.options import CalibrationOptions
from calibration.quantize import quantize_model
from calibration.ranges import RangeMethod
from calibration.sessions import Form
from calibration.weights import Granularity, WeightOptions
from runtime.image_batches import ImageBatches
from tests.benchmarks.test_int8_accuracy_bench import open_tiny

RECIPES = (
    Recipe(Effort.FAST, RangeMethod.MSE, Granularity.PER_CHANNEL),
    Recipe(Effort.FAST, RangeMethod.ENTROPY, Granularity.PER_CHANNEL),
    Recipe(Effort.FAST, RangeMethod.MSE, Granularity.PER_TENSOR),
    Recipe(Effort.GOOD, RangeMethod.MSE, Granularity.PER_CHANNEL),
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return open_tiny(tmp_path)


def calibrated(bench: Bench, images: ImageBatches, recipe: Recipe) -> ModelProto:
    """Quantize as the command does."""
    weights = WeightOptions(recipe.granularity)
    options = CalibrationOptions(recipe.method, weights, effort=recipe.effort)
    source = make_quantizable(bench.model, bench.contract, images, options)
    return quantize_model(source, options.placement).model


def test_every_recipe_is_that_of_the_command(bench: Bench) -> None:
    images = bench.choose_images(3, 1)
    candidates = recipe_candidates(bench, images, 1, RECIPES)
    assert [one.label for one in candidates] == [recipe.label for recipe in RECIPES]
    models = [candidate.make()[0].SerializeToString() for candidate in candidates]
    assert len(set(models)) == len(RECIPES)
    for recipe, model in zip(RECIPES, models, strict=True):
        assert model == calibrated(bench, images, recipe).SerializeToString(), recipe.label
    assert all(candidate.forms == tuple(Form) for candidate in candidates)


def test_observing_is_shared_and_counted_in_every_time(bench: Bench) -> None:
    observations = Observations(bench, bench.choose_images(3, 1))
    fast = observations.of(Effort.FAST)
    assert observations.of(Effort.FAST) is fast and fast.model is bench.model
    good = observations.of(Effort.GOOD)
    assert good is not fast
    assert fast.seconds > 0 and set(fast.histograms) == set(good.histograms)
    for candidate in recipe_candidates(bench, bench.choose_images(3, 1), 1, RECIPES[:2]):
        assert candidate.make()[1] > 0


def test_a_stamp_names_all_that_a_model_depends_on(bench: Bench) -> None:
    stamps = [
        candidate.stamp
        for seed in (1, 2)
        for candidate in recipe_candidates(bench, bench.choose_images(3, seed), seed, RECIPES)
    ]
    assert len({str(stamp) for stamp in stamps}) == 2 * len(RECIPES)
    assert {"source", "images", "code"} < set(stamps[0])
