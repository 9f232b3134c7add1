"""Image sets that are drawn once, and results that are computed once."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from benchmarks.experiments_budget import FULL, QUICK, budget_facts, computed_once, draw_sets
from detectors.dataset import CocoSet
from detectors.registry import check_size


@pytest.mark.parametrize("budget", [FULL, QUICK], ids=lambda budget: budget.name)
def test_a_budget_can_be_spent(budget):
    check_size("cornernet-nano", budget.size_hw)
    assert budget.training_images >= budget.batch
    assert budget.steps % budget.evaluate_every == 0  # the curve ends at the last step
    assert len(set(budget.seeds)) == len(budget.seeds) >= 2


def test_sets_are_drawn_once_and_differ(tmp_path):
    sets = draw_sets(QUICK, tmp_path)
    assert len(sets.training.examples) == QUICK.training_images
    unseen = [
        sets.unseen.ordinary,
        sets.unseen.crowded,
        sets.all_sizes.ordinary,
        sets.all_sizes.crowded,
    ]
    assert {len(coco.examples) for coco in unseen} == {QUICK.validation_images}
    assert len({coco.annotation_file.read_text() for coco in unseen}) == 4
    before = sets.training.annotation_file.stat().st_mtime_ns
    assert draw_sets(QUICK, tmp_path).training.annotation_file.stat().st_mtime_ns == before


def test_only_the_runs_see_large_objects_alone(tmp_path):
    sets = draw_sets(QUICK, tmp_path)
    # Others may cover a third of an object, so that less than its least size is visible.
    assert smallest(sets.all_sizes.crowded) < QUICK.min_size_px / 2 < smallest(sets.training)


def smallest(coco: CocoSet) -> float:
    boxes = np.concatenate([example.boxes_xyxy for example in coco.examples])
    return float((boxes[:, 2:] - boxes[:, :2]).max(1).min())


def test_a_result_is_computed_once(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"ap": 0.5, "size": (1, 2)}

    path = tmp_path / "a" / "result.json"
    first = computed_once(path, {"seed": 1, "size": (3, 4)}, compute)
    again = computed_once(path, {"seed": 1, "size": (3, 4)}, compute)
    assert (len(calls), first["ap"], again["ap"]) == (1, 0.5, 0.5)


@pytest.mark.parametrize("text", ["", "{", '{"stamp": {"seed": 2}, "result": {}}', "{}"])
def test_another_or_a_damaged_result_is_computed_again(tmp_path, text):
    path = tmp_path / "result.json"
    path.write_text(text)
    assert computed_once(path, {"seed": 1}, lambda: {"ap": 1.0}) == {"ap": 1.0}
    assert json.loads(path.read_text()) == {"stamp": {"seed": 1}, "result": {"ap": 1.0}}


def test_nothing_is_kept_of_a_failure(tmp_path):
    path = tmp_path / "result.json"

    def fail():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        computed_once(path, {}, fail)
    with pytest.raises(ValueError, match="JSON compliant"):
        computed_once(path, {}, lambda: {"ap": math.nan})
    assert list(tmp_path.iterdir()) == []


def test_facts_are_json_and_name_the_seeds_of_the_sets():
    facts = json.loads(json.dumps(budget_facts(FULL)))
    assert facts["size_hw"] == list(FULL.size_hw)
    assert len(set(facts["shapes_seeds"].values())) == 3
