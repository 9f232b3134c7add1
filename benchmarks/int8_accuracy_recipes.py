"""The ways to INT8 of this project: how ranges are chosen and how weights are rounded."""

from __future__ import annotations

import fnmatch
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from onnx import ModelProto

from benchmarks.int8_accuracy_bench import Bench, Candidate, code_digest
from calibration.effort import Effort, improve, prepare
from calibration.histograms import MagnitudeHistogram
from calibration.observation import UNCACHED, observe_images
from calibration.quantize import Quantizable, choose_ranges, observable, quantize_model
from calibration.quantize_rules import EVERYWHERE
from calibration.ranges import RangeMethod
from calibration.sessions import Form
from calibration.weights import Granularity, WeightOptions
from runtime.atomic_file import sha256_of
from runtime.errors import UsageError
from runtime.image_batches import ImageBatches


@dataclass(frozen=True)
class Recipe:
    """One setting of ``calibration.calibrate``.

    Attributes:
        effort: How much is done to keep accuracy.
        method: How clipping thresholds of activations are chosen.
        granularity: How many scales a convolution's weights have.
    """

    effort: Effort
    method: RangeMethod
    granularity: Granularity

    @property
    def label(self) -> str:
        """What to call it in a table."""
        return f"{self.effort.value} {self.method.value} {self.granularity.value}"


def choose_recipes(patterns: Sequence[str]) -> list[Recipe]:
    """Return the recipes whose labels match one of some shell patterns, fast ones first.

    Raises:
        UsageError: If a pattern matches none.
    """
    parts = itertools.product(Effort, Granularity, RangeMethod)
    recipes = [Recipe(effort, method, granularity) for effort, granularity, method in parts]
    labels = [recipe.label for recipe in recipes]
    for pattern in patterns:
        if not fnmatch.filter(labels, pattern):
            raise UsageError(
                f"--recipes got {pattern!r}, which is none of the {len(labels)} recipes; expected "
                f"a pattern such as {labels[0]!r} or 'good mse *'"
            )
    return [
        recipe
        for recipe in recipes
        if any(fnmatch.fnmatch(recipe.label, pattern) for pattern in patterns)
    ]


@dataclass(frozen=True)
class Observed:
    """A model that is ready to be quantized, and what its activations were on images.

    Attributes:
        model: The float model after what comes before observing.
        histograms: By tensor.
        seconds: What both took.
    """

    model: ModelProto
    histograms: dict[str, MagnitudeHistogram]
    seconds: float


class Observations:
    """Ranges that several recipes share are observed once.

    Args:
        bench: The float model.
        images: What it sees.
    """

    def __init__(self, bench: Bench, images: ImageBatches) -> None:
        self._bench, self._images = bench, images
        self._kept: dict[Effort, Observed] = {}

    def of(self, effort: Effort) -> Observed:
        """Return the prepared model with its ranges."""
        if effort not in self._kept:
            started = time.monotonic()
            bench, images = self._bench, self._images
            model = prepare(bench.model, images, effort)
            tensors = observable(model, EVERYWHERE)
            histograms = observe_images(model, bench.contract, tensors, images, UNCACHED)
            self._kept[effort] = Observed(model, histograms, time.monotonic() - started)
        return self._kept[effort]


def recipe_candidates(
    bench: Bench, images: ImageBatches, seed: int, recipes: Sequence[Recipe]
) -> list[Candidate]:
    """Return every recipe, ready to quantize with one choice of images."""
    observations = Observations(bench, images)
    inputs = {
        "source": sha256_of(bench.source),
        "images": images.digest(),
        "code": code_digest(),
    }
    return [
        Candidate(
            recipe.label,
            seed,
            {"recipe": recipe.label, **inputs},
            (Form.PORTABLE, Form.ONNXRUNTIME),
            partial(quantize_by_recipe, recipe, images, observations),
        )
        for recipe in recipes
    ]


def quantize_by_recipe(
    recipe: Recipe, images: ImageBatches, observations: Observations
) -> tuple[ModelProto, float]:
    """Return the quantized model and the seconds it took, observing included."""
    weights = WeightOptions(recipe.granularity)
    observed = observations.of(recipe.effort)
    started = time.monotonic()
    ranges = choose_ranges(observed.histograms, recipe.method)
    source = Quantizable(observed.model, ranges, weights)
    improved = improve(source, EVERYWHERE, images, recipe.effort)
    quantized = quantize_model(improved, EVERYWHERE).model
    return quantized, observed.seconds + time.monotonic() - started
