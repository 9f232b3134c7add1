"""Reading kernels from the text inside an engine."""

from __future__ import annotations

import pytest

from export.engine_report import read_engine
from runtime.errors import BuildError

TEXT = (
    'tensor={ name="x" type=int8 dims={ 1 16 8 8 } }\n'
    'tensor={ name="w" type=int8 dims={ 16 16 3 3 } }\n'
    'tensor={ name="f" type=float dims={ 1 16 8 8 } }\n'
    '\n  corrltn={ name="conv.1" input={ "x" "w" "f" } output={ "f" } }'
    '\n  corrltn={ name="conv.2" input={ "f" "f" } output={ "f" } }'
    '\n  maxpool={ name="p1_conv1/pooling" input={ "x" "x" } output={ "x" } }'
    '\n  runtime_fusion={ name="__myl_CorrAdd" input_args={ "x" "x" } output_args={ "new" } }'
    '\n  region={ name="r" input={ "x" "w" } output={ "f" } }'
)


def test_kernels_and_their_number_types() -> None:
    report = read_engine(b"\x00\xff binary" + TEXT.encode() + b"\xfe")
    assert [kernel.kind for kernel in report.kernels] == [
        "corrltn",
        "corrltn",
        "maxpool",
        "runtime_fusion",
    ]
    assert report.kernels[0].input_types == ("int8", "int8", "float")
    assert report.kernels[0].output_types == ("float",)
    assert report.kernels[3].output_types == ("?",)


def test_only_convolutions_count() -> None:
    report = read_engine(TEXT.encode())
    assert report.convolutions("int8") == 2  # the pooling of a tensor named conv is none
    assert report.convolutions("float") == 1
    assert report.convolutions("half") == 0


@pytest.mark.parametrize("engine", [b"", b"\x00" * 100, b'tensor={ name="x" type=int8 }\n'])
def test_an_engine_without_text_is_not_taken_for_an_empty_one(engine: bytes) -> None:
    with pytest.raises(BuildError, match="format changed"):
        read_engine(engine)
