"""Recipes for the built-in `scenes`: their numbers were chosen by kNN on a held-out part of its training images."""

from pairlens.methods.simclr import SimCLRSettings
from pairlens.recipes.recipe import Recipe, recipe
from pairlens.settings import FeatureTransform, Network, Optimisation, Selection, Views


@recipe
def simclr(
    *,
    method: SimCLRSettings = SimCLRSettings(),
    network: Network = Network(),
    views: Views = Views(crop=(0.4, 1.0), jitter=(0.8, 0.8, 0.8, 0.2), gray=0.5, flip=0.0),
    optimisation: Optimisation = Optimisation(batch=128, optimizer="adamw", lr=8e-3),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """SimCLR (Chen, Kornblith et al. 2020) for the built-in scenes: strong jitter, much gray, no mirrored digits."""
    return Recipe(method, network, views, optimisation, transform, selection)
