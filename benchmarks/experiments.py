"""The article's experiments on Shapes: corner pooling, anchors, embeddings, offsets.

Six training runs and some ten thousand decoded images, about an hour on one core. What was
finished before is not repeated. The figures go to benchmarks/results/ and, unless --out or --quick
is given, into docs/experiments.md.

python -m benchmarks.experiments
python -m benchmarks.experiments --without-training
python -m benchmarks.experiments --write-docs
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from torch import nn

from benchmarks.anchors import anchor_facts
from benchmarks.experiments_budget import (
    FULL,
    QUICK,
    Budget,
    UnseenSets,
    budget_facts,
    computed_once,
    draw_sets,
)
from benchmarks.experiments_decoding import Candidate, offset_rows, pairing_rows
from benchmarks.experiments_pictures import pair_examples
from benchmarks.experiments_plots import draw_pairs, draw_plots
from benchmarks.experiments_pooling import MODEL, WITH, train_runs, trained_network
from benchmarks.experiments_tables import SHIPPED, experiment_tables, fill_tables
from benchmarks.report import RESULTS, Findings, Surroundings, report_json
from benchmarks.torch_threads import torch_threads
from detectors.checkpoints import load_checkpoint
from detectors.registry import build_detector, find_spec
from detectors.shapes import CLASS_NAMES
from runtime.atomic_file import sha256_of, write_text
from runtime.backends import available_cores
from runtime.command_line import CommandParser, check_output, positive
from runtime.errors import ArtifactError, run_command
from runtime.machine_facts import load_average, machine_facts

NAME = "experiments"
ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "experiments"
DOCUMENT = ROOT / "docs" / "experiments.md"
IMAGES = ROOT / "docs" / "images"
WEIGHTS = ROOT / "detectors" / "weights" / f"{MODEL}.safetensors"
COUNTED_MODELS = ("cornernet-hourglass104", MODEL)
EXAMPLES = 3  # pictures side by side in the document


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(
        prog=f"python -m benchmarks.{NAME}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, metavar="F.json", help=f"default: benchmarks/results/{NAME}-<date>")
    add("--work", type=Path, default=WORK, help="folder of image sets, runs and kept results")
    add("--threads", type=positive, default=available_cores(), help="threads of torch")
    add("--without-training", action="store_true", help="only what the shipped weights can tell")
    way = parser.add_mutually_exclusive_group().add_argument
    way("--quick", action="store_true", help="a tiny budget, into --work: does it run?")
    way("--write-docs", action="store_true", help="measure nothing; redraw from the newest result")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


def newest_result(folder: Path) -> Path:
    """Return the latest result file of the experiments; their names end in a date.

    Raises:
        ArtifactError: If there is none.
    """
    found = sorted(folder.glob(f"{NAME}-*.json"))
    if not found:
        raise ArtifactError(
            f"no {folder / NAME}-<date>.json; expected a result file; make one: make {NAME}"
        )
    return found[-1]


def write_document(body: dict[str, Any], document: Path, images: Path) -> None:
    """Draw the plots of a result file and put its tables into the document.

    Raises:
        UsageError: If the document's places and the tables do not fit.
    """
    text = fill_tables(document.read_text(encoding="utf-8"), experiment_tables(body))
    draw_plots(body["facts"], images)
    write_text(document, text)
    print(f"wrote {document}")


def _run(options: argparse.Namespace) -> int:
    """Measure and write everything, or only write again what was measured."""
    if options.write_docs:
        body = json.loads(newest_result(RESULTS).read_text(encoding="utf-8"))
        write_document(body, DOCUMENT, IMAGES)
        return 0
    started = datetime.datetime.now(datetime.timezone.utc)
    budget = QUICK if options.quick else FULL
    work = options.work / budget.name
    # A trial, or a file of the caller's own, leaves the repository's document alone.
    is_apart = options.quick or options.out is not None
    images = work if is_apart else IMAGES
    out = options.out or (work if options.quick else RESULTS) / f"{NAME}-{started.date()}.json"
    check_output("--out", out, ".json")
    load_before = load_average()
    with torch_threads(options.threads):
        findings = _measure(budget, work, images, with_training=not options.without_training)
    where = Surroundings(
        machine_facts(), started.isoformat(timespec="seconds"), load_before, load_average()
    )
    text = report_json(NAME, findings, where)
    write_text(out, text)
    print(f"wrote {out}")
    if is_apart:
        draw_plots(findings.facts, images)
        print(*experiment_tables(json.loads(text)).values(), sep="\n\n")
    else:
        write_document(json.loads(text), DOCUMENT, IMAGES)
    return 0


def _measure(budget: Budget, work: Path, images: Path, *, with_training: bool) -> Findings:
    """Run every experiment, or read what an earlier call finished; draws the examples."""
    print(f"image sets in {work}", flush=True)
    sets = draw_sets(budget, work / "shapes")
    runs = train_runs(budget, sets, work) if with_training else []
    shipped = Candidate(shipped_network(), MODEL, find_spec(MODEL).default_size_hw)
    sha256 = sha256_of(WEIGHTS)
    decoded = {SHIPPED: _decode(shipped, sets.all_sizes, work / f"{SHIPPED}.json", sha256)}
    for run in runs:
        if run["pooling"] == WITH:
            seed = run["seed"]
            network = trained_network(work, WITH, seed)
            candidate = Candidate(network, MODEL, budget.size_hw)
            kept = work / f"decoded-{seed}.json"
            decoded[f"seed {seed}"] = _decode(candidate, sets.unseen, kept, run["weights_sha256"])
    draw_pairs(pair_examples(shipped, sets.all_sizes.crowded, EXAMPLES), images)
    facts: dict[str, Any] = {"anchors": anchor_facts(COUNTED_MODELS), "corner_pooling": runs}
    for experiment in ("pairing", "offsets"):
        facts[experiment] = [
            {"weights": weights, **group}
            for weights, parts in decoded.items()
            for group in parts[experiment]
        ]
    shipped_facts = {"shipped_sha256": sha256, "shipped_size_hw": shipped.size_hw}
    return Findings({"model": MODEL, **budget_facts(budget), **shipped_facts}, {}, facts=facts)


def shipped_network() -> nn.Module:
    """Return the shipped network in evaluation mode."""
    network = build_detector(MODEL, len(CLASS_NAMES))
    load_checkpoint(network, WEIGHTS)
    return network.eval()


def _decode(candidate: Candidate, sets: UnseenSets, kept: Path, sha256: str) -> dict[str, Any]:
    """Evaluate every way of pairing on both sets, and every offset on the ordinary one."""

    def compute() -> dict[str, Any]:
        print(f"decoding with {kept.stem}", flush=True)
        return {
            "pairing": [
                {"set": name, "rows": pairing_rows(candidate, coco)}
                for name, coco in (("crowded", sets.crowded), ("ordinary", sets.ordinary))
            ],
            "offsets": [{"set": "ordinary", "rows": offset_rows(candidate, sets.ordinary)}],
        }

    stamp = {"weights": sha256, "size_hw": candidate.size_hw, "images": len(sets.crowded.examples)}
    return computed_once(kept, stamp, compute)


if __name__ == "__main__":
    sys.exit(main())
