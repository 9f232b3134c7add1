"""The observing step of a calibration: images in, histograms out, with a file to fall back on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from calibration.histograms import MagnitudeHistogram
from calibration.observers import Observation, Observer, Provider
from calibration.progress import progress_bar
from calibration.range_cache import RangeCache
from calibration.range_key import RangeKey
from runtime.contract import ModelContract
from runtime.errors import CalibrationError, CornerRTError
from runtime.image_batches import ImageBatches

NAMES_SHOWN = 3


@dataclass(frozen=True)
class ObservationOptions:
    """How to observe.

    Attributes:
        provider: What ONNX Runtime computes on.
        cache: The file that keeps ranges; None keeps nothing.
    """

    provider: Provider = Provider.CPU
    cache: Path | None = None


# On the processor, and nothing is kept.
UNCACHED = ObservationOptions()


def observe_images(
    model: ModelProto,
    contract: ModelContract,
    tensors: Sequence[str],
    images: ImageBatches,
    options: ObservationOptions,
) -> dict[str, MagnitudeHistogram]:
    """Return the histograms of some tensors over images, from a file where it has them.

    An interrupted run leaves what it has in the file, and the next one continues there, to the same
    bits. After an error the file is removed: what failed must change, and the file's key with it.

    Args:
        model: The model in float; not modified.
        contract: Of the exported model.
        tensors: Names of the tensors to observe.
        images: What to run.
        options: Where to compute, and the file.

    Raises:
        CalibrationError: If ONNX Runtime refuses the model, a tensor is not finite, or every image
            is black.
        SourceError: If an image cannot be read.
        OSError: If the file cannot be written.
    """
    cache = None
    if options.cache is not None:
        cache = RangeCache(options.cache, RangeKey.of(model, contract, images, options.provider))
    observation = cache.restore(tensors) if cache else Observation.of(tensors)
    if observation.samples < len(images):
        try:
            _observe_rest(model, images, observation, options.provider, cache)
            _refuse_black(observation)
        except CornerRTError:
            if cache:
                cache.remove()
            raise
        if cache:
            cache.save(observation)
    _note_dead(observation)
    return {name: observation.histograms[name] for name in tensors}


def _observe_rest(
    model: ModelProto,
    images: ImageBatches,
    observation: Observation,
    provider: Provider,
    cache: RangeCache | None,
) -> None:
    """Add the images that are not in an observation yet; Ctrl-C leaves them in the file."""
    if cache:
        cache.save(observation)  # a file that cannot be written is an error now, not hours later
    rest = replace(images, paths=images.paths[observation.samples :])
    bar = progress_bar(len(images), done=observation.samples)
    try:
        with Observer(model, observation, provider) as observer, bar:
            for sample in rest:
                observer.add(sample)
                bar.update()
                if cache and cache.is_due:
                    observer.finish()
                    cache.save(observation)
            observer.finish()
    except KeyboardInterrupt:
        if cache:
            cache.save(observation)
        raise


def _refuse_black(observation: Observation) -> None:
    if observation.blank_samples == observation.samples:
        raise CalibrationError(
            f"found nothing but black in all images ({observation.samples}); expected pictures of "
            "the place where the detector will run: ranges of black ones fit no other; check "
            "--images"
        )


def _note_dead(observation: Observation) -> None:
    """Say which tensors have a range that nothing was seen for."""
    dead = observation.dead_tensors()
    if dead:
        more = f" and {len(dead) - NAMES_SHOWN} more" if len(dead) > NAMES_SHOWN else ""
        shown = ", ".join(dead[:NAMES_SHOWN])
        print(f"note: nothing but 0 was seen in {shown}{more}", file=sys.stderr)
