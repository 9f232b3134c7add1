"""What another precision, size or network would buy."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.layer_fusion import fuse_layers
from export.roofline_bound import bound_network
from export.roofline_changes import change_network, change_precision, change_size, sizes_around
from export.roofline_family import measure_family_member
from export.roofline_graph import read_weightless, size_graph, without_weights
from export.roofline_subject import Subject, subject_from_file
from tests.export.conftest import CLASS_NAMES, SIZE_HW
from tests.export.rooflines import plain_device, two_convolutions

DEVICE = plain_device()


@pytest.fixture(name="nano", scope="module")
def nano_subject(nano_onnx: Path) -> Subject:
    return subject_from_file(nano_onnx, None)


def test_every_precision_has_a_row_and_what_the_device_lacks_has_no_floor(nano: Subject) -> None:
    rows = change_precision(nano, DEVICE)
    assert [row.label.split(":")[0] for row in rows] == ["fp32", "tf32", "fp16", "bf16", "int8"]
    fp32, tf32, fp16, bf16, int8 = rows
    assert tf32.whole_ms is None and bf16.layered_ms is None
    assert fp32.whole_ms > fp16.whole_ms > int8.whole_ms > 0
    assert fp32.layered_ms > fp16.layered_ms > int8.layered_ms > int8.whole_ms
    bound = bound_network(fuse_layers(size_graph(nano.graph)), DEVICE, "fp16")
    assert fp16.layered_ms == bound.layered_ms


def test_a_graph_that_is_not_fp32_has_no_such_table() -> None:
    model = two_convolutions()
    for tensor in model.graph.initializer:
        tensor.data_type = 10  # FLOAT16
    assert change_precision(Subject("half", None, without_weights(model), None), DEVICE) == []


def test_sizes_are_counted_as_an_export_at_that_size_would_be(nano: Subject) -> None:
    size_hw = (96, 160)
    (row,) = change_size(nano, DEVICE, "fp32", [size_hw])
    assert row.label == "96x160"
    expected = measure_family_member("cornernet-nano", size_hw, len(CLASS_NAMES))
    assert row.multiply_adds == expected.multiply_adds


def test_sizes_around_are_those_that_the_network_takes(nano: Subject) -> None:
    sizes = sizes_around(nano)
    assert SIZE_HW in sizes and len(sizes) == len(set(sizes)) > 3
    assert all(side % 32 == 0 for size in sizes for side in size)
    squeeze = Subject("squeeze", "cornernet-squeeze", nano.graph, (511, 511))
    assert sizes_around(squeeze)[0] == (255, 255) and (1023, 1023) in sizes_around(squeeze)
    assert sizes_around(Subject("foreign", None, nano.graph, (64, 64))) == []


def test_networks_of_the_registry_by_their_totals() -> None:
    nano, squeeze = change_network(DEVICE, "fp16", ("cornernet-nano", "cornernet-squeeze"))
    assert nano.label == "cornernet-nano 320x320" and nano.layered_ms is None
    assert squeeze.multiply_adds > 20 * nano.multiply_adds
    assert nano.whole_ms == pytest.approx(2e3 * nano.multiply_adds / 2e12)


def test_the_graph_itself_is_not_changed_by_asking(nano: Subject, nano_onnx: Path) -> None:
    change_size(nano, DEVICE, None, [(32, 32)])
    assert nano.graph == read_weightless(nano_onnx)
