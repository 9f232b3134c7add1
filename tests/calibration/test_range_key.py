"""What the ranges' key sees, and how it names a difference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

from calibration.observers import Provider
from calibration.range_key import RangeKey
from runtime.image_batches import ImageBatches, find_images
from tests.calibration.tiny_network import make_contract, make_tiny_network, write_images

SIZE_HW = (16, 16)


@pytest.fixture(name="images")
def six_images(tmp_path: Path) -> ImageBatches:
    return find_images(str(write_images(tmp_path / "images", 6)), SIZE_HW, 10)


def key_of(images: ImageBatches, model: ModelProto | None = None) -> RangeKey:
    return RangeKey.of(model or make_tiny_network(), make_contract(), images, Provider.CPU)


def test_the_same_calibration_has_the_same_key(images: ImageBatches) -> None:
    assert key_of(images) == key_of(images)
    assert key_of(images).changes_since(key_of(images)) == []


def test_metadata_and_outputs_do_not_matter(images: ImageBatches) -> None:
    model = make_tiny_network()
    model.metadata_props.add(key="note", value="something")
    del model.graph.output[1]
    assert key_of(images, model) == key_of(images)


def test_one_weight_is_enough(images: ImageBatches) -> None:
    model = make_tiny_network()
    tensor = model.graph.initializer[1]
    value = numpy_helper.to_array(tensor).copy()
    value.flat[0] += 1e-6
    tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    assert key_of(images, model).changes_since(key_of(images)) == ["other weights"]


def test_how_a_weight_is_stored_does_not_matter(images: ImageBatches) -> None:
    model = make_tiny_network()
    tensor = model.graph.initializer[1]
    value = numpy_helper.to_array(tensor)
    tensor.ClearField("raw_data")
    tensor.float_data.extend(value.ravel().tolist())
    assert key_of(images, model) == key_of(images)


def test_one_attribute_is_enough(images: ImageBatches) -> None:
    model = make_tiny_network()
    model.graph.node[-1].attribute[0].ints[0] = 5
    assert key_of(images, model).changes_since(key_of(images)) == ["another graph"]


def test_a_function_body_belongs_to_the_graph(images: ImageBatches) -> None:
    model = make_tiny_network()
    model.functions[0].node[0].doc_string = "changed"
    assert key_of(images, model).changes_since(key_of(images)) == ["another graph"]


def test_preprocessing_names_both(images: ImageBatches) -> None:
    other = replace(make_contract(), mean_bgr=(1.5, 2.0, 3.0))
    key = RangeKey.of(make_tiny_network(), other, images, Provider.CPU)
    (change,) = key.changes_since(key_of(images))
    assert change.startswith("preprocessing 16x16 letterbox, mean 0/0/0")
    assert "instead of 16x16 letterbox, mean 1.5/2/3" in change


def test_the_provider_and_libraries_are_named(images: ImageBatches) -> None:
    key = RangeKey.of(make_tiny_network(), make_contract(), images, Provider.CUDA)
    (change,) = key.changes_since(key_of(images))
    assert "onnxruntime" in change and " cpu, opencv" in change and " cuda, opencv" in change


def test_images_are_counted_by_what_happened_to_them(tmp_path: Path) -> None:
    old = key_of(find_images(str(write_images(tmp_path, 6)), SIZE_HW, 10))
    (tmp_path / "000.png").unlink()
    cv2.imwrite(str(tmp_path / "001.png"), np.zeros((4, 4, 3), np.uint8))
    for name in ("new-0.png", "new-1.png", "new-2.png"):
        cv2.imwrite(str(tmp_path / name), np.ones((4, 4, 3), np.uint8))
    new = key_of(find_images(str(tmp_path), SIZE_HW, 10))
    assert new.changes_since(old) == ["other images (3 added, 1 removed, 1 changed)"]


def test_the_order_of_images_is_kept_apart(images: ImageBatches) -> None:
    turned = replace(images, paths=images.paths[::-1])
    assert key_of(turned).changes_since(key_of(images)) == ["another order of images"]


def test_everything_that_changed_is_named(images: ImageBatches) -> None:
    key = key_of(images)
    other = RangeKey("a", "b", "c", "d", ())
    assert len(other.changes_since(key)) == 5
