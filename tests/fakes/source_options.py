"""The options of sources, as the command line would give them."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from runtime.option_types import group_from
from runtime.options_sources import SourceOptions, add_arguments


def source_options(**changes: Any) -> SourceOptions:
    """Return the defaults with some changes."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return dataclasses.replace(group_from(SourceOptions, parser.parse_args([])), **changes)
