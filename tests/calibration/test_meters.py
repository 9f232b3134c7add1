"""The two figures behind one shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.accuracy import open_meter
from calibration.meters import ap_meter, sqnr_meter
from calibration.sessions import Form
from calibration.sqnr import FLOAT_DB, IMAGES
from runtime.errors import CalibrationError
from runtime.image_batches import find_images
from tests.benchmarks.artifacts import write_validation_set
from tests.builders import TINY_CONTRACT, tiny_model
from tests.calibration.tiny_network import SIZE, make_tiny_network, write_images


def test_average_precision(tmp_path: Path) -> None:
    data = write_validation_set(tmp_path / "val")
    meter = ap_meter(open_meter(data, TINY_CONTRACT, threads=1), tiny_model())
    assert (meter.metric, meter.images, meter.float_value) == ("ap", 1, 1.0)
    assert meter.measure(tiny_model()) == 1.0


def test_images_without_objects(tmp_path: Path) -> None:
    data = write_validation_set(tmp_path / "val")
    accuracy = open_meter(data, TINY_CONTRACT, limit=0)
    with pytest.raises(CalibrationError, match="lists no object on 0 images"):
        ap_meter(accuracy, tiny_model())


def test_noise_of_the_maps(tmp_path: Path) -> None:
    images = find_images(str(write_images(tmp_path / "i", IMAGES + 3)), (SIZE, SIZE), 99)
    model = make_tiny_network()
    meter = sqnr_meter(model, images, Form.PORTABLE, threads=1)
    assert (meter.metric, meter.images, meter.float_value) == ("sqnr_db", IMAGES, FLOAT_DB)
    assert meter.measure(model) == pytest.approx(FLOAT_DB)
