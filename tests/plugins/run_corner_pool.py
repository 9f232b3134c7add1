"""Run all cases of corner pooling through a library compiled for the CPU; for the sanitizer.

python -m tests.plugins.run_corner_pool LIBRARY
"""

from __future__ import annotations

import ctypes
import sys

from plugins.kernel_doors import CornerPoolDoors, NumberType
from tests.plugins.corner_pool_cases import OFFERED, SHAPES
from tests.plugins.test_corner_pool_kernel import (
    check_pool,
    test_addresses_need_no_alignment_beyond_one_number,
)


def main() -> None:
    """Fail, as a program, at the first case that differs or touches foreign memory."""
    doors = CornerPoolDoors(ctypes.CDLL(sys.argv[1]))
    cases = [(kind, shape) for kind in OFFERED for shape in SHAPES]
    for kind, shape in cases:
        check_pool(doors, kind, shape)
    for number_type in NumberType:
        test_addresses_need_no_alignment_beyond_one_number(doors, number_type)
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    main()
