"""Groups of arguments: what cannot be meant is refused."""

from dataclasses import replace

import pytest

from pairlens.errors import InputError
from pairlens.pairs import identity
from pairlens.settings import FeatureTransform


def test_nothing_asked_for_is_the_identity() -> None:
    assert FeatureTransform().transform() is identity


@pytest.mark.parametrize(
    "arguments",
    [
        {"renormalise": True},
        {"per": "pair"},
        {"ft_start": 3},
        {"union": True},
        {"gradient": "both"},
        {"negatives_see": "raw"},
        {"extrapolate": 2.0, "union": True},
        {"interpolate": 1.6, "gradient": "both"},
        {"interpolate": 1.6, "negatives_see": "raw"},
    ],
)
def test_an_argument_without_effect_is_refused(arguments: dict) -> None:
    shaping = list(arguments)[-1]
    with pytest.raises(InputError, match=f"^{shaping} shapes a feature transformation"):
        FeatureTransform(**arguments).transform()


@pytest.mark.parametrize(
    "arguments",
    [
        {"extrapolate": 2.0, "gradient": "both", "negatives_see": "raw", "renormalise": True, "per": "pair"},
        {"interpolate": 1.6, "union": True, "ft_start": 3},
        {"interpolate_positives": 2.0, "extrapolate_negatives": 1.6},
    ],
)
def test_an_argument_with_effect_is_taken(arguments: dict) -> None:
    assert FeatureTransform(**arguments).transform() is not identity


def test_opposites_exclude_each_other() -> None:
    both = replace(FeatureTransform(), extrapolate=2.0, interpolate_positives=2.0)
    with pytest.raises(InputError, match="exclude each other"):
        both.transform()
