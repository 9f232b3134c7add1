"""Networks without corner pooling, and runs that are not repeated."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import benchmarks.experiments_pooling as pooling_module
from benchmarks.experiments_budget import QUICK, ImageSets, draw_sets
from benchmarks.experiments_pooling import (
    MODEL,
    WITH,
    WITHOUT,
    learning_curve,
    network_for,
    options_of,
    remove_corner_pooling,
    run_folder,
    train_runs,
    trained_network,
)
from detectors.checkpoints import save_checkpoint
from detectors.heads import CornerPool
from detectors.registry import build_detector


def pools_of(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, CornerPool)]


def test_one_seed_gives_both_networks_the_same_weights():
    on, off = network_for(WITH, 1).state_dict(), network_for(WITHOUT, 1).state_dict()
    assert list(on) == list(off)
    assert all(torch.equal(on[key], off[key]) for key in on)
    other = network_for(WITH, 2).state_dict()
    assert any(not torch.equal(on[key], other[key]) for key in on)


def test_without_corner_pooling_no_pool_is_left_and_the_maps_differ():
    on, off = network_for(WITH, 1).eval(), network_for(WITHOUT, 1).eval()
    assert (len(pools_of(on)), len(pools_of(off))) == (4, 0)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert not torch.equal(on(images)["tl_heat"], off(images)["tl_heat"])


def test_every_stack_loses_its_pools():
    network = build_detector("cornernet-squeeze", 6)
    assert len(pools_of(network)) == 8
    remove_corner_pooling(network)
    assert pools_of(network) == []


def test_a_network_without_corner_modules_is_our_mistake():
    with pytest.raises(AssertionError):
        remove_corner_pooling(nn.Conv2d(3, 3, 1))


def test_only_the_seed_tells_two_runs_apart():
    assert options_of(QUICK, 1) != options_of(QUICK, 2)
    assert options_of(QUICK, 1).steps == QUICK.steps


def test_a_curve_takes_the_evaluations_from_the_log(tmp_path):
    log = tmp_path / "log.jsonl"
    records = [{"step": 50, "total": 3.0}, {"step": 100, "ap": 0.1, "ap50": 0.2}, {"step": 150}]
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert learning_curve(log) == [{"step": 100, "ap": 0.1}]


@pytest.fixture(name="sets", scope="module")
def image_sets(tmp_path_factory: pytest.TempPathFactory) -> ImageSets:
    return draw_sets(QUICK, tmp_path_factory.mktemp("sets"))


class StandIn:
    """Takes the place of ``run_training``: leaves the network as it came, and a log."""

    def __init__(self) -> None:
        self.calls: list[tuple[bool, int, bool]] = []  # corner pooling, seed, resumed

    def __call__(self, options, session, coco, validation, network) -> SimpleNamespace:
        self.calls.append((bool(pools_of(network)), options.seed, session.resume))
        session.out.mkdir(parents=True, exist_ok=True)
        (session.out / "last.pt").touch()
        (session.out / "log.jsonl").write_text('{"step": 2, "ap": 0.5}\n')
        weights = session.out / f"{MODEL}.safetensors"
        save_checkpoint(network, weights, {"note": "a stand-in"})
        return SimpleNamespace(weights=weights, seconds=1.25)


@pytest.fixture(name="training")
def replaced_training(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setattr(pooling_module, "run_training", stand_in)
    return stand_in


def test_both_networks_are_trained_once_per_seed(tmp_path, sets, training):
    runs = train_runs(QUICK, sets, tmp_path)
    assert [(run["pooling"], run["seed"]) for run in runs] == [
        (WITH, 1),
        (WITHOUT, 1),
        (WITH, 2),
        (WITHOUT, 2),
    ]
    assert training.calls == [(run["pooling"] == WITH, run["seed"], False) for run in runs]
    assert runs[0]["curve"] == [{"step": 2, "ap": 0.5}]
    assert runs[0]["final"]["images"] == QUICK.validation_images
    assert "/" not in json.dumps(runs)  # nothing names this machine's folders


def test_finished_runs_are_not_repeated_and_a_stopped_one_is_resumed(tmp_path, sets, training):
    first = train_runs(QUICK, sets, tmp_path)
    assert train_runs(QUICK, sets, tmp_path) == first
    assert len(training.calls) == 4
    (run_folder(tmp_path, WITHOUT, 2) / "result.json").unlink()  # as if killed before its end
    train_runs(QUICK, sets, tmp_path)
    assert training.calls[4:] == [(False, 2, True)]


def test_a_trained_network_has_the_weights_of_its_run(tmp_path, sets, training):
    train_runs(QUICK, sets, tmp_path)
    found = trained_network(tmp_path, WITHOUT, 2)
    assert not found.training and not pools_of(found)
    wanted = network_for(WITHOUT, 2).state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in found.state_dict().items())
