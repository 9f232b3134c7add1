"""A training run from its first step to its last: data, steps, evaluations and files."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from detectors.batches import TimedBatches, load_batches, micro_batch_size
from detectors.dataset import CocoSet
from detectors.evaluate import AveragePrecision
from detectors.objectives import find_objective
from detectors.processes import OneProcess, open_processes
from detectors.stop_request import StopRequest, TrainingStopped
from detectors.train_options import Session, TrainOptions, check_session
from detectors.trainer import Trainer
from detectors.training_evaluation import score_average, show_pictures
from detectors.training_log import Meter, TrainingLog
from detectors.training_sets import ImageSets
from detectors.training_state import (
    describe_run,
    remove_leftovers,
    restore_state,
    save_state,
    write_average,
)

if TYPE_CHECKING:
    from detectors.training_board import TrainingBoard


@dataclass(frozen=True)
class TrainingResult:
    """What a run that reached its last step leaves.

    Attributes:
        weights: The averaged weights after the last step.
        best_weights: Those of the best evaluation; None without a validation set.
        best_ap: Its average precision; None without a validation set.
        seconds: How long this session took.
        is_main: Whether this process is the one that wrote them.
    """

    weights: Path
    best_weights: Path | None
    best_ap: float | None
    seconds: float
    is_main: bool


def run_training(
    options: TrainOptions,
    session: Session,
    coco: CocoSet,
    validation: CocoSet | None = None,
    network: nn.Module | None = None,
) -> TrainingResult:
    """Train to the last step, from the first or from where ``session.resume`` continues.

    Args:
        options: What to train.
        session: How, and where to write.
        coco: The training images.
        validation: Images to evaluate the averaged weights on from time to time.
        network: Trained instead of a new one of ``options.model``.

    Raises:
        TrainingStopped: After Ctrl-C or SIGTERM; ``last.pt`` holds the last step.
        CornerRTError: If options, data or checkpoint do not fit, or a loss is not finite.
    """
    started = time.monotonic()
    sets = ImageSets(coco, validation)
    sets.check()
    processes = open_processes(session.device)
    run = TrainingRun(options, session, sets, processes, network)
    run.train()
    if processes.is_main:
        run.write_weights(run.weights_path)
    processes.wait()
    processes.close()
    best = run.best.get("ap")
    return TrainingResult(
        run.weights_path,
        run.best_path if best is not None else None,
        best,
        time.monotonic() - started,
        processes.is_main,
    )


class TrainingRun:
    """A run in progress: its trainer, its data and its files.

    Args:
        options: What to train.
        session: How, and where to write.
        sets: Images to train and to evaluate on.
        processes: Those that train together.
        network: Trained instead of a new one of ``options.model``.

    Attributes:
        weights_path: Receives the averaged weights of the last step.
        best_path: Receives those of the best evaluation.
        best: ``ap`` and ``step`` of that evaluation; empty before the first.
    """

    def __init__(
        self,
        options: TrainOptions,
        session: Session,
        sets: ImageSets,
        processes: OneProcess,
        network: nn.Module | None = None,
    ) -> None:
        self.options, self.session, self.processes = options, session, processes
        self.sets = sets
        self.weights_path = session.out / f"{options.model}.safetensors"
        self.best_path = session.out / "best.safetensors"
        self._state_path = session.out / "last.pt"
        self.best: dict[str, float] = {}
        check_session(session)
        self._micro_batch = micro_batch_size(options, processes.count)
        self.trainer = Trainer(
            options, len(sets.training.class_names), processes, network, session.channels_last
        )
        if session.init and not session.resume:
            kept = self.trainer.begin_with(session.init, sets.training.class_names)
            if processes.is_main:
                print(kept, file=sys.stderr)
        if session.resume:
            best = restore_state(self._state_path, self.trainer, self._description)
            self.best = best if self.best_path.is_file() else {}
        if processes.is_main:
            remove_leftovers(self._state_path)
            self.sets = sets.with_sound_validation()

    @property
    def _description(self) -> dict[str, object]:
        training = self.sets.training
        return describe_run(
            self.trainer, len(training.examples), training.class_names, self._micro_batch
        )

    @property
    def last_step(self) -> int:
        """The step to stop at."""
        return min(self.options.steps, self.session.stop_after or self.options.steps)

    def train(self) -> None:
        """Run the remaining steps.

        Raises:
            TrainingStopped: After Ctrl-C or SIGTERM, with the last step in ``last.pt``.
        """
        trainer, session = self.trainer, self.session
        dataset = find_objective(trainer.spec).training_set(
            self.options, trainer.spec, self.sets.training
        )
        batches = load_batches(dataset, self.options, self.processes, trainer.step, session.workers)
        board = self._open_board()
        is_silent = not self.processes.is_main
        if self.processes.is_main and not session.resume:
            self.best_path.unlink(missing_ok=True)  # of another run; this one has none yet
        path = session.out / "log.jsonl"
        with (
            StopRequest() as stop,
            TrainingLog(path, trainer.step, self.last_step, board, is_silent) as log,
        ):
            meter = Meter(self.options.batch)
            while trainer.step < self.last_step:
                self._timed_step(batches, meter)
                log.step()
                if self._is_due(session.log_every):
                    log.write(trainer.step, meter.take() | {"rate": trainer.rate})
                improved = self._is_due(session.evaluate_every) and self._evaluate(log, board, stop)
                # All processes stop after the same step, whichever of them was asked.
                stopped = self.processes.mean([stop.is_made])[0] > 0
                # After a new best at once: a resumed run must not take a lesser one for better.
                if stopped or improved or self._is_due(session.save_every):
                    self._save()
                if stopped:
                    raise TrainingStopped(
                        f"stopped after step {trainer.step}; {self._state_path} is complete; "
                        "continue with --resume"
                    )

    def _timed_step(self, batches: TimedBatches, meter: Meter) -> None:
        """Take one step and note what it took."""
        started, waited_s = time.perf_counter(), batches.waited_s
        losses = self.trainer.train_step(batches)
        meter.add(losses, time.perf_counter() - started, batches.waited_s - waited_s)

    def _is_due(self, every: int) -> bool:
        """Say whether something that happens every so many steps, and at the end, happens now."""
        return self.trainer.step % every == 0 or self.trainer.step == self.last_step

    def _evaluate(self, log: TrainingLog, board: TrainingBoard | None, stop: StopRequest) -> bool:
        """Score the averaged weights on the validation set; say whether they were kept as best."""
        validation, improved = self.sets.validation, False
        if self.processes.is_main:
            if board:
                show_pictures(self.trainer, validation or self.sets.training, board)
            limit = self.session.evaluate_images
            if validation and (figures := score_average(self.trainer, validation, limit, stop)):
                improved = self._keep_if_best(figures, log)
        self.processes.wait()
        return improved

    def _keep_if_best(self, figures: AveragePrecision, log: TrainingLog) -> bool:
        """Record an evaluation; write its weights if no earlier one was as good."""
        values = {name: value for name, value in asdict(figures).items() if name != "images"}
        log.write(self.trainer.step, values)
        if figures.ap <= self.best.get("ap", -1.0):
            return False
        self.best = {"ap": figures.ap, "step": self.trainer.step}
        self.write_weights(self.best_path, {"ap": f"{figures.ap:.5f}"})
        return True

    def _save(self) -> None:
        """Write ``last.pt``, from the first process."""
        if self.processes.is_main:
            save_state(self._state_path, self.trainer, self._description, self.best)

    def write_weights(self, path: Path, more: Mapping[str, str] | None = None) -> None:
        """Write the averaged weights, with the facts that belong to them."""
        facts = {
            "class_names": json.dumps(self.sets.training.class_names),
            "command": self.session.command,
        }
        write_average(path, self.trainer, facts | dict(more or {}))

    def _open_board(self) -> TrainingBoard | None:
        """Open the event files, if asked for and in the first process."""
        if not (self.session.tensorboard and self.processes.is_main):
            return None
        from detectors.training_board import TrainingBoard  # TensorBoard is heavy

        return TrainingBoard(self.session.out / "tensorboard", self.trainer.step)
