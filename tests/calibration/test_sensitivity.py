"""The sensitivity command: its table, its files, and going on after a stop."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from calibration.sensitivity import main
from runtime.errors import CalibrationError
from tests.calibration.priced_network import FLOAT_AP, PriceList, priced_accuracy
from tests.calibration.tiny_network import write_images, write_tiny_network


@pytest.fixture(name="words")
def command_line(tmp_path: Path) -> list[str]:
    source = write_tiny_network(tmp_path / "tiny.onnx")
    images = write_images(tmp_path / "images", 3)
    out = tmp_path / "s.json"
    return ["--onnx", str(source), "--images", str(images), "--out", str(out), "--threads", "1"]


def by_ap(
    words: list[str], monkeypatch: pytest.MonkeyPatch, prices: PriceList, *more: str
) -> list[str]:
    """Return the command line with prices in place of average precision."""
    accuracy = priced_accuracy(Path(words[5]).with_name("annotations.json"), prices)
    monkeypatch.setattr("calibration.sensitivity.open_meter", lambda *_: accuracy)
    return [*words, "--metric", "ap", "--data", "val", *more]


def test_the_quick_metric(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--picture", str(tmp_path / "s.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("SQNR of the maps on 3 images")
    ranked = [line.split()[0] for line in lines if "/Conv" in line]
    body = json.loads((tmp_path / "s.json").read_text())
    assert (body["metric"], body["images"]) == ("sqnr_db", 3)
    assert body["float"] > body["int8"] > 0
    assert ranked == [row["node"] for row in body["nodes"]] and len(ranked) == 9
    gains = [row["only_float"] for row in body["nodes"]]
    assert gains == sorted(gains, reverse=True)
    assert all(row["only_int8"] > 0 for row in body["nodes"])
    (join,) = [row for row in body["blocks"] if row["block"] == "join"]
    assert sorted(join["nodes"]) == ["join.0/Conv", "join.1/Conv"]
    (inner,) = [row for row in body["nodes"] if row["node"] == "join.0/Conv"]
    assert (inner["module"], inner["block"]) == ("join.0", "join")
    picture = cv2.imread(str(tmp_path / "s.png"))
    assert picture is not None and min(picture.shape[:2]) > 300


def test_average_precision(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(by_ap(words, monkeypatch, PriceList())) == 0
    body = json.loads((tmp_path / "s.json").read_text())
    assert (body["metric"], body["images"], body["float"]) == ("ap", 7, FLOAT_AP)
    assert body["int8"] == pytest.approx(FLOAT_AP - 0.16)
    assert body["nodes"][0]["node"] == "block.0/Conv"
    assert body["nodes"][0]["only_int8"] == pytest.approx(0.1)
    printed = capsys.readouterr().out
    assert "AP on 7 images: 0.8000 in float, 0.6400 in INT8" in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("block.0/Conv")]
    assert line.split()[1:3] == ["10.00", "10.00"] and line.split()[-1] == "block.0"


def test_a_stopped_run_goes_on(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopping(PriceList):
        def __call__(self, model: object) -> float:
            if self.asked == 5:
                raise CalibrationError("stopped")
            return super().__call__(model)

    assert main(by_ap(words, monkeypatch, Stopping())) == 2
    capsys.readouterr()
    prices = PriceList()
    assert main(by_ap(words, monkeypatch, prices)) == 0
    assert "has 4 measurements; going on" in capsys.readouterr().err  # and one of the float model
    again = PriceList()
    assert main(by_ap(words, monkeypatch, again)) == 0
    assert again.asked == 1 < prices.asked


def test_annotated_images_that_changed_begin_anew(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(by_ap(words, monkeypatch, PriceList())) == 0
    prices = PriceList()
    monkeypatch.setattr("tests.calibration.priced_network.IMAGES_DIGEST", "of other images")
    assert main(by_ap(words, monkeypatch, prices)) == 0
    assert "is of another annotated images; measuring anew" in capsys.readouterr().err
    assert prices.asked > 10


def test_other_images_begin_anew(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(by_ap(words, monkeypatch, PriceList())) == 0
    Path(words[3], "002.png").unlink()
    capsys.readouterr()
    prices = PriceList()
    assert main(by_ap(words, monkeypatch, prices, "--no-cache", "--weights", "per-tensor")) == 0
    printed = capsys.readouterr().err
    assert "is of another images, options, quantized model; measuring anew" in printed
    assert prices.asked > 10


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--metric", "ap"], "got no --data"),
        (["--data", "val"], "without --metric ap"),
        (["--limit", "5"], "without --metric ap"),
        (["--picture", "s.jpg"], "expected a name that ends in .png"),
        (["--metric", "ap", "--data", "none"], "expected COCO annotations"),
        (["--exclude", "."], "none of 11 convolutions"),
        (["--images", "nowhere"], "nowhere"),
    ],
)
def test_bad_options_are_one_line(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
) -> None:
    assert main([*words, *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "s.json").exists()
