"""How pictures flow: from which cameras, what is dropped, in what batches, and what is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from runtime.detections import Detections
from runtime.errors import UsageError
from runtime.frame_buffer import DropPolicy
from runtime.frames import DrawPlaces, Frame
from runtime.postprocess import PostprocessOptions
from runtime.source_reader import ReaderOptions
from runtime.sources import Source, SourceSpec
from runtime.tracks import Tracks

# What is done with one camera's detections, picture by picture: tracking, filters, counts.
Analysis = Callable[[Detections, tuple[int, int], Frame], tuple[Detections, Tracks | None]]

_EVERY = re.compile(r"every-([1-9][0-9]{0,5})")


@dataclass(frozen=True)
class Dropping:
    """What happens to pictures that come faster than the network takes them.

    Attributes:
        policy: Of a full queue; None for what suits each source: ``LATEST`` where it is live,
            ``BLOCK`` where it is a file.
        every: Run the network on one of so many pictures only.
    """

    policy: DropPolicy | None = None
    every: int = 1

    @classmethod
    def parse(cls, text: str) -> Dropping:
        """Read ``auto``, ``latest``, ``block`` or ``every-3``.

        Raises:
            UsageError: If it is something else.
        """
        if match := _EVERY.fullmatch(text):
            return cls(every=int(match[1]))
        if text == "auto":
            return cls()
        try:
            return cls(DropPolicy(text))
        except ValueError:
            raise UsageError(
                f"got {text!r}; expected auto, latest, block, or every-N, such as every-3"
            ) from None

    def policy_for(self, is_live: bool) -> DropPolicy:
        """Return what a full queue of such a source does."""
        return self.policy or (DropPolicy.LATEST if is_live else DropPolicy.BLOCK)


@dataclass(frozen=True)
class Batching:
    """How pictures of several cameras share one run of the network.

    Attributes:
        most: Pictures per run; None for as many as there are cameras, if the engine was built for
            batches, else 1: on a processor a batch takes as long as its pictures one by one.
        patience_s: How long a picture may wait for others to fill its batch, in seconds.
    """

    most: int | None = None
    patience_s: float = 0.005

    def size_for(self, cameras: int, engine_batch: int | None) -> int:
        """Return how many pictures to run at once.

        Args:
            cameras: How many there are.
            engine_batch: The most that the engine takes; None for as many as memory holds.

        Raises:
            UsageError: If more were asked for than the engine takes.
        """
        if self.most is None:
            return 1 if engine_batch is None else min(cameras, engine_batch)
        if engine_batch is not None and self.most > engine_batch:
            raise UsageError(
                f"--batch got {self.most}; expected at most {engine_batch}, what the engine was "
                "built for; build it for more: make engine MAX_BATCH=8"
            )
        return self.most


@dataclass(frozen=True)
class CameraInput:
    """One camera of a stream.

    Attributes:
        spec: How to open it, and its name.
        source: The same, open; None to let its thread open it.
        analyse: Takes detections, the picture's height and width, and the picture.
        draw_places: Draws its zones and lines.
    """

    spec: SourceSpec
    source: Source | None = None
    analyse: Analysis | None = None
    draw_places: DrawPlaces | None = None


@dataclass(frozen=True)
class FlowOptions:
    """How a pipeline works.

    Attributes:
        postprocess: What to keep of the network's boxes.
        dropping: What happens to pictures that nobody has time for.
        batching: How cameras share one run of the network.
        reader: How sources are kept alive; ``every`` is taken from ``dropping``.
        max_frames: Stop after so many results of all cameras; None for no limit.
    """

    postprocess: PostprocessOptions = field(default_factory=PostprocessOptions)
    dropping: Dropping = field(default_factory=Dropping)
    batching: Batching = field(default_factory=Batching)
    reader: ReaderOptions = field(default_factory=ReaderOptions)
    max_frames: int | None = None
