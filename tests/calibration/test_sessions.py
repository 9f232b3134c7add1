"""Sessions in memory: the same function in both forms, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto

from calibration.int8_region import Target
from calibration.observers import observe
from calibration.quantize import Quantizable, choose_ranges, observable, quantize_model
from calibration.quantize_rules import EVERYWHERE
from calibration.ranges import RangeMethod
from calibration.sessions import Form, form_for, open_session
from runtime.errors import CalibrationError
from tests.calibration.tiny_network import make_tiny_network, random_frames


@pytest.fixture(name="source", scope="module")
def quantizable() -> Quantizable:
    model = make_tiny_network()
    histograms = observe(model, observable(model, EVERYWHERE), random_frames(3), 3)
    return Quantizable(model, choose_ranges(histograms, RangeMethod.MINMAX))


def heat(model: ModelProto, form: Form) -> np.ndarray:
    session = open_session(model, form, ["heat"], threads=1)
    (value,) = session.run(None, {"frames": random_frames(1)[0]})
    return value


@pytest.mark.parametrize("form", Form)
def test_both_forms_compute_the_quantized_model(source: Quantizable, form: Form) -> None:
    quantized, _ = quantize_model(source, EVERYWHERE)
    before = quantized.SerializeToString(deterministic=True)
    expected, found = heat(source.model, form), heat(quantized, form)
    error = np.abs(found - expected).mean() / np.abs(expected).mean()
    assert 1e-4 < error < 0.1
    assert quantized.SerializeToString(deterministic=True) == before


def test_the_forms_differ_by_what_onnxruntime_quantizes_besides(source: Quantizable) -> None:
    quantized, _ = quantize_model(source, EVERYWHERE)
    portable, built = heat(quantized, Form.PORTABLE), heat(quantized, Form.ONNXRUNTIME)
    assert np.abs(portable - built).max() > 0


def test_a_float_model_is_the_same_in_both_forms(source: Quantizable) -> None:
    np.testing.assert_array_equal(*(heat(source.model, form) for form in Form))


def test_a_tensor_inside_can_be_asked_for() -> None:
    session = open_session(make_tiny_network(), Form.PORTABLE, ["stem/Relu"])
    (value,) = session.run(None, {"frames": random_frames(1)[0]})
    assert value.shape == (1, 16, 16, 16) and value.min() == 0


def test_half_bases_are_refused(source: Quantizable) -> None:
    half, _ = quantize_model(source, EVERYWHERE, "fp16")
    with pytest.raises(CalibrationError, match="expected one with an FP32 base"):
        open_session(half, Form.ONNXRUNTIME)


@pytest.mark.parametrize(
    ("target", "base", "form"),
    [
        (Target.PORTABLE, "fp32", Form.ONNXRUNTIME),
        (Target.PORTABLE, "fp16", Form.PORTABLE),
        (Target.ONNXRUNTIME, "fp32", Form.ONNXRUNTIME),
        (Target.TENSORRT, "fp32", Form.PORTABLE),
        (Target.TENSORRT_RTX, "fp32", Form.PORTABLE),
        (Target.TENSORRT_RTX, "fp16", Form.PORTABLE),
    ],
)
def test_a_model_is_measured_as_its_target_runs_it(target: Target, base: str, form: Form) -> None:
    assert form_for(target, base) is form
