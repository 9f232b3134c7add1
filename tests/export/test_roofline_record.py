"""The roofline as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from export.roofline_changes import Change
from export.roofline_measured import LayerComparison, MeasuredRun, Predicted
from export.roofline_record import FORMAT, roofline_record
from tests.export.rooflines import plain_device
from tests.export.test_roofline_text import roofline
from tests.fakes.measured import run_of


def test_a_record_survives_json() -> None:
    record = json.loads(json.dumps(roofline_record(roofline())))
    assert record["format"] == FORMAT and "a bound, not a promise" in record["note"]
    assert (record["network"], record["size_hw"]) == ("tiny", [8, 8])
    assert record["device"]["tera_operations"]["fp32"] == {
        "value": 1.0,
        "evidence": "user",
        "source": "a test",
    }
    assert record["device"]["l2_mebibytes"] is None and record["predicted"] is None
    first = record["floor"]["layers"][0]
    assert first["nodes"] == ["stem/Conv", "stem/Relu"] and first["bound_by"] == "memory"
    assert first["bytes"] == 4 * (192 + 108 + 4 + 256)


def test_what_was_asked_for_beside_it() -> None:
    measured = MeasuredRun(run_of([[5.0]]), "Plain board")
    found = replace(
        roofline(device=plain_device(4)),
        ceiling_bound=roofline().bound,
        changes={"what if": [Change("a", 1, None, 2.0)]},
        predicted=Predicted(measured, (LayerComparison("a", 1.0, 2.0),), 0.5),
    )
    record = json.loads(json.dumps(roofline_record(found)))
    assert record["floor_at_ceilings"] == record["floor"]
    assert record["changes"]["what if"][0]["whole_ms"] == 2.0
    assert record["predicted"]["layers"] == [{"name": "a", "floor_ms": 1.0, "measured_ms": 2.0}]
    assert record["device"]["l2_mebibytes"]["value"] == 4
