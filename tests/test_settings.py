"""Groups of arguments: what cannot be meant is refused."""

from dataclasses import replace

import pytest
import torch

from pairlens.errors import InputError
from pairlens.idle import check_effect, without_brought
from pairlens.negatives import hardest, semi_hard, skewed, uniform
from pairlens.pairs import Scores, Select, identity
from pairlens.settings import FeatureTransform, Optimisation, Selection, Views
from pairlens.styling import Styling


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


@pytest.mark.parametrize(
    ("views", "message"),
    [
        (
            Views(local_crop=(0.1, 0.2)),
            "local_crop shapes the small views, and there are none; ask for some with locals",
        ),
        (Views(local_size=16), "local_size shapes the small views"),
        (Views(randaugment_magnitude=5.0), "randaugment_magnitude shapes RandAugment, which is off; add randaugment"),
        (Views(styles=8), "styles shapes stylised copies, which no view shows; add texture"),
        (Views(styled_by="patches"), "styled_by shapes stylised copies"),
        (Views(styles_from="paintings"), "styles_from shapes stylised copies"),
        (
            Views(texture=0.5, styled_by="patches", styles_from="paintings"),
            "styles_from has no effect, since patches takes no style; choose spectrum or weights",
        ),
        (Views(texture=0.5, styled_by="/", styles_from="p"), "styles_from has no effect, since / takes no style"),
        (Views(jitter=(0.8, 0.8, 0.8, 0.2), jitter_probability=0.0), "jitter shapes the colour jitter, whose prob"),
        (Views(jitter=(0.0, 0.0, 0.0, 0.0), jitter_probability=1.0), "jitter_probability is the colour jitter's, whos"),
    ],
)
def test_an_argument_of_views_that_are_not_made_is_refused(views: Views, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}") as caught:
        replace(views, size=16, blur=0.0).plan()
    assert str(caught.value).endswith(", or leave it out")


@pytest.mark.parametrize(
    "views",
    [
        Views(locals=1, local_crop=(0.1, 0.2), local_size=16),
        Views(randaugment=1, randaugment_magnitude=5.0),
        Views(texture=0.5, styles=8, styles_from="paintings"),
        Views(texture=0.5, styled_by="w.pth", styles_from="paintings"),
        Views(texture=0.5, styled_by="/"),
        Views(jitter_probability=0.0),
        Views(jitter=(0.0, 0.0, 0.0, 0.0)),
        Views(jitter=(0.0, 0.0, 0.0, 0.0), jitter_probability=0.0),
    ],
)
def test_an_argument_of_views_that_are_made_is_taken(views: Views) -> None:
    replace(views, size=16, blur=0.0).plan()


def test_views_with_textures_say_how_copies_are_made() -> None:
    assert Views().styling is None
    assert Views(texture=0.5).styling == Styling("spectrum", 4, None)
    assert Views(texture=0.5, styles=2, styled_by="w.pth", styles_from="p").styling == Styling("w.pth", 2, "p")
    view = Views(texture=0.3, styles=2).augmentation()
    assert (view.texture, view.styles) == (0.3, 2)


def test_what_was_brought_is_dropped_and_what_was_given_is_not() -> None:
    usual = Optimisation(floor=0.1)
    assert without_brought(usual, usual) == usual
    assert without_brought(replace(usual, schedule="steps"), usual).floor == 0
    given = without_brought(Optimisation(schedule="steps", floor=0.2), usual)
    with pytest.raises(InputError, match=r"^floor is where a cosine ends, and the schedule is steps"):
        check_effect(given)


def test_opposites_exclude_each_other() -> None:
    both = replace(FeatureTransform(), extrapolate=2.0, interpolate_positives=2.0)
    with pytest.raises(InputError, match="exclude each other"):
        both.transform()


@pytest.mark.parametrize(
    ("selection", "count", "left"),
    [
        (Selection(), 100, 100),
        (Selection("hardest"), 100, 50),
        (Selection("semi_hard"), 7, 3),
        (Selection("uniform"), 1, 1),
        (Selection("skewed"), 100, 100),
        (Selection("hardest", 5), 100, 5),
        (Selection("skewed", 200), 100, 200),
    ],
)
def test_a_selection_says_how_many_are_left(selection: Selection, count: int, left: int) -> None:
    assert selection.of(count) == left


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (
            Selection(selected=5),
            "selected has no effect where select is all; choose hardest or semi_hard or skewed or u",
        ),
        (Selection(mine_on="raw"), "mine_on has no effect where select is all; choose hardest or semi_hard or skewed,"),
        (Selection("uniform", mine_on="raw"), "mine_on has no effect where select is uniform"),
        (Selection("hardest", skew=2.0), "skew has no effect where select is hardest; choose skewed, or leave it out"),
        (Selection(skew_scale=0.5), "skew_scale has no effect where select is all; choose skewed"),
        (Selection("uniform", 5, skew_scale=0.5), "skew_scale has no effect where select is uniform"),
    ],
)
def test_an_argument_of_another_selection_is_refused(selection: Selection, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}") as caught:
        selection.function()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "selection",
    [
        Selection("hardest", 3, mine_on="raw"),
        Selection("semi_hard", 3, mine_on="raw"),
        Selection("uniform", 3),
        Selection("skewed", 3, 1.0, 0.5, "raw"),
    ],
)
def test_an_argument_of_its_own_selection_is_taken(selection: Selection) -> None:
    assert selection.function() is not None


def test_all_negatives_need_no_selection() -> None:
    assert Selection().function() is None


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection("hardest", 3), hardest(3)),
        (Selection("semi_hard", 3), semi_hard(3)),
        (Selection("uniform", 3), uniform(3)),
        (Selection("skewed", 30), skewed(30)),
        (Selection("skewed", 30, skew=-2.0, skew_scale=0.7), skewed(30, shape=-2.0, scale=0.7)),
    ],
)
def test_a_selection_is_the_function_of_its_name(make_draw, selection: Selection, expected: Select) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = Scores(torch.rand(4, generator=generator), torch.rand(4, 12, generator=generator))
    found = selection.function()
    assert found is not None
    one, other = (select(scores, scores, make_draw(4)) for select in (found, expected))
    assert torch.equal(one.negative, other.negative)
    default = skewed(30)(scores, scores, make_draw(4))
    assert torch.equal(one.negative, default.negative) == (selection == Selection("skewed", 30))


@pytest.mark.parametrize(
    "selection", [Selection("hardest", 0), Selection("skewed", -2), Selection("skewed", None, 4.0, 0.0)]
)
def test_a_selection_that_cannot_be_made_is_refused(selection: Selection) -> None:
    with pytest.raises(InputError, match="must be positive"):
        selection.function()
