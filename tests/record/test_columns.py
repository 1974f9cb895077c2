"""Reading recorded values: what is no finite number is replaced, and nothing fails."""

import math

import numpy as np
import pytest

from pairlens.record.columns import finite


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, 2.0),
        (0.5, 0.5),
        (np.float32(0.25), 0.25),
        (10**400, 7.0),
        (math.inf, 7.0),
        (math.nan, 7.0),
        (None, 7.0),
        ("1", 7.0),
    ],
)
def test_what_is_no_finite_number_is_replaced(value: object, expected: float) -> None:
    assert finite(value, 7.0) == expected
