"""The accuracy gate: INT8 only as far as a budget of average precision allows.

Convolutions return to float, most sensitive first, until the drop is within the budget; what that
costs is said in multiply-adds. A model that misses the budget all the same is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnxruntime
from onnx import ModelProto

from calibration.accuracy import open_meter
from calibration.float_search import find_floats
from calibration.gate_options import GateOptions
from calibration.meters import Meter, ap_meter, sqnr_meter
from calibration.operations import OperationShare, multiply_adds, operation_share
from calibration.options import CalibrationOptions
from calibration.progress import progress_bar
from calibration.quantize import Quantizable
from calibration.quantize_rules import Placement
from calibration.sensitivity_trials import Trials, rank_by_gain
from calibration.sessions import Form, form_for
from runtime.atomic_file import sha256_of
from runtime.contract import ModelContract, ProvenanceStep
from runtime.errors import CalibrationError
from runtime.image_batches import ImageBatches

POINTS = 100  # average precision as people say it
# Decimals of a drop in points: AP has five, and their differences carry rounding errors behind.
DIGITS = 3


@dataclass(frozen=True)
class GateResult:
    """How a model passed.

    Attributes:
        placement: The placement that passed.
        returned: Convolutions that returned to float, most sensitive first.
        images: Number of images measured on.
        float_ap: AP of the float model.
        first_ap: AP with all in INT8 that the placement asked for at first.
        ap: AP with ``placement``.
        before: Modelled operations at first.
        after: Those with ``placement``.
    """

    placement: Placement
    returned: tuple[str, ...]
    images: int
    float_ap: float
    first_ap: float
    ap: float
    before: OperationShare
    after: OperationShare

    @property
    def drop_points(self) -> float:
        """How far AP fell, in points."""
        return POINTS * (self.float_ap - self.ap)

    def summary(self, max_drop_points: float) -> str:
        """Return the outcome as one clause for people and for the contract."""
        first_drop, returned = POINTS * (self.float_ap - self.first_ap), len(self.returned)
        cost = (
            f"{self.after.percent:.1f} % of the modelled operations in INT8 after {returned} of "
            f"{self.before.convolutions} convolutions returned to float, {self.before.percent:.1f} "
            f"% before, with a drop of {first_drop:.2f}"
            if returned
            else f"{self.after.percent:.1f} % of the modelled operations in INT8, as planned"
        )
        return (
            f"AP {self.float_ap:.5f} in float, {self.ap:.5f} in INT8, drop {self.drop_points:.2f} "
            f"of at most {max_drop_points:g} points on {self.images} images; {cost}"
        )


def pass_gate(
    source: Quantizable, placement: Placement, accuracy: Meter, quick: Meter, max_drop_points: float
) -> GateResult:
    """Return convolutions to float until average precision is within the budget.

    Args:
        source: The float model with ranges and weights.
        placement: Which convolutions may run in INT8.
        accuracy: Measures AP; asked some ten times, for 50 convolutions at most 21.
        quick: Ranks the convolutions; asked once for each of them.
        max_drop_points: The budget, in points.

    Raises:
        CalibrationError: If even a single convolution in INT8 misses the budget.
    """
    trials = Trials(source, placement, accuracy)
    with progress_bar(None, "accuracy gate", "measurement") as bar:

        def passes(floats: frozenset[str]) -> bool:
            drop = POINTS * (accuracy.float_value - trials.value(floats))
            bar.set_postfix_str(f"{len(floats)} in float: drop {drop:.2f}")
            bar.update()
            return round(drop, DIGITS) <= max_drop_points

        floats: list[str] | None = []
        if not passes(frozenset()):
            ranked = rank_by_gain(Trials(source, placement, quick))
            floats = find_floats(ranked, passes)
    if floats is None:
        raise _refusal(trials, ranked, max_drop_points)
    operations = multiply_adds(source.model)
    return GateResult(
        trials.with_float(floats),
        tuple(floats),
        accuracy.images,
        accuracy.float_value,
        trials.value(),
        trials.value(floats),
        operation_share(operations, trials.everything),
        operation_share(operations, trials.everything.difference(floats)),
    )


@dataclass(frozen=True)
class Gate:
    """The float model's accuracy, for quantized ones to keep.

    Attributes:
        exported: The float model as it was exported.
        budget: The most that may be lost, and where it is measured.
        options: How the model is quantized.
        accuracy: Measures average precision.
        annotations_sha256: Digest of the file with the annotations.
    """

    exported: ModelProto
    budget: GateOptions
    options: CalibrationOptions
    accuracy: Meter
    annotations_sha256: str

    @classmethod
    def open(
        cls,
        exported: ModelProto,
        contract: ModelContract,
        budget: GateOptions,
        options: CalibrationOptions,
    ) -> Gate:
        """Read the annotated images and measure the float model on them.

        Args:
            exported: The float model as it was exported: what accuracy is compared with.
            contract: Its contract.
            budget: The most that may be lost, and where it is measured.
            options: How it will be quantized.

        Raises:
            DatasetError: If the annotated images cannot be read, or have other classes.
            SourceError: If an image cannot be read.
            CalibrationError: If they show nothing, or the model cannot be run or gives no boxes.
        """
        form = form_for(options.placement.target, options.base)
        full = open_meter(budget.data, contract, form, budget.limit)
        digest = sha256_of(full.coco.annotation_file)
        return cls(exported, budget, options, ap_meter(full, exported), digest)

    def apply(self, source: Quantizable, images: ImageBatches) -> tuple[Placement, ProvenanceStep]:
        """Find the placement that meets the budget, and the record of it for the contract.

        A model is measured as its target runs it. One with an FP16 base is for GPUs: its twin with
        an FP32 base is measured in its place, computed as engines compute it.

        Args:
            source: The model with ranges and weights, which may have been improved for INT8.
            images: The calibration images; a few of them rank the convolutions.

        Raises:
            SourceError: If an image cannot be read.
            CalibrationError: If the budget cannot be met, or the model not be run.
        """
        placement, base = self.options.placement, self.options.base
        form, points = form_for(placement.target, base), self.budget.max_drop_points
        quick = sqnr_meter(self.exported, images, form)
        result = pass_gate(source, placement, self.accuracy, quick, points)
        twin = "its FP32 twin " if base == "fp16" else ""
        as_run = f"{twin}as GPUs compute it" if form is Form.PORTABLE else "in integer kernels"
        note = f"{result.summary(points)}; measured {as_run}"
        tool = f"onnxruntime {onnxruntime.__version__}"
        return result.placement, ProvenanceStep("gate", self.annotations_sha256, tool, note)


def _refusal(trials: Trials, ranked: Sequence[str], max_drop_points: float) -> CalibrationError:
    """Return why a model is not blessed."""
    drops = [
        POINTS * (trials.meter.float_value - trials.value(floats)) for floats in ((), ranked[:-1])
    ]
    return CalibrationError(
        f"AP drops by {drops[0]:.2f} points with all {len(ranked)} convolutions in INT8, and by "
        f"{drops[1]:.2f} with {ranked[-1]} alone; expected at most {max_drop_points:g} points; "
        "calibrate on more images, allow a larger drop, or build without INT8"
    )
