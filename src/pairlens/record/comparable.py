"""Whether what a foreign loop hands over can be compared: every refusal is a sentence, before anything is recorded."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pairlens.errors import InputError
from pairlens.pairs import Pairs

Transformed = Pairs | tuple[Tensor, Tensor]
"""What the loss saw: whole pairs, or a query and a key that are compared within the batch."""


def check_given(given: Sequence[Tensor], transformed: Transformed | None, symmetric: bool, loss: Tensor | None) -> None:
    """Say in one sentence what cannot be compared.

    Raises:
        InputError: shapes, types or devices disagree.
    """
    _check_vectors("", given)
    if isinstance(transformed, Pairs):
        _check_pairs(transformed)
        _check_device("query", given[0], "transformed query", transformed.query)
        if transformed.query.shape != (len(given[0]) * (1 + symmetric), given[0].shape[1]):
            raise InputError(
                f"the transformed query is {_said(transformed.query)} beside a query that is {_said(given[0])}; hand "
                f"over one row for each query{', and each key, as the loop is symmetric' if symmetric else ''}"
            )
    elif transformed is not None:
        if len(transformed) != 2 or len(given) != 2:
            raise InputError(
                "a transformed query and key alone are compared within the batch; where negatives are shared, hand "
                "over transformed pairs: Pairs(query, key, negatives)"
            )
        _check_vectors("transformed ", transformed)
        _check_device("query", given[0], "transformed query", transformed[0])
        _check_alike("query", given[0], "transformed query", transformed[0])
    if loss is not None and not (isinstance(loss, Tensor) and loss.numel() == 1):
        raise InputError(f"the loss must be a tensor of one number, not {_said(loss)}; hand over the batch's mean")


def _check_pairs(pairs: Pairs) -> None:
    """Whether the fields of transformed pairs belong together."""
    _check_vectors("transformed ", [pairs.query, pairs.key, pairs.negatives])
    (rows, dim), count = pairs.query.shape, len(pairs.negatives)
    for name, field, shape, axes, kind in (
        ("excluded", pairs.excluded, (rows, count), "queries, negatives", "boolean"),
        ("own", pairs.own, (rows, None, dim), "queries, negatives of each, dimensions", "floating point"),
        (
            "own_excluded",
            pairs.own_excluded,
            (rows, 0 if pairs.own is None else pairs.own.shape[1]),
            "queries, negatives of each",
            "boolean",
        ),
        ("anchor", pairs.anchor, (rows, dim), "queries, dimensions", "floating point"),
    ):
        if field is None:
            continue
        typed = isinstance(field, Tensor) and (
            field.dtype is torch.bool if kind == "boolean" else field.is_floating_point()
        )
        fits = (
            typed and field.ndim == len(shape) and all(s in (None, n) for s, n in zip(shape, field.shape, strict=True))
        )
        if not fits:
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise InputError(
                f"the transformed pairs' {name} must be a {kind} tensor [{wanted}] ({axes}), not {_said(field)}"
            )
        _check_device("transformed query", pairs.query, f"transformed pairs' {name}", field)


def _check_vectors(prefix: str, vectors: Sequence[Tensor]) -> None:
    query, key, negatives = (prefix + name for name in ("query", "key", "negatives"))
    for name, given in zip((query, key, negatives), vectors, strict=False):
        if not (isinstance(given, Tensor) and given.is_floating_point() and given.ndim == 2):
            raise InputError(f"the {name} must be a floating point tensor [rows, dimensions], not {_said(given)}")
        _check_device(query, vectors[0], name, given)
    _check_alike(query, vectors[0], key, vectors[1])
    if len(vectors) > 2 and vectors[2].shape[1] != vectors[0].shape[1]:
        raise InputError(
            f"the {query} is {_said(vectors[0])} and the {negatives} are {_said(vectors[2])}; they must have as many "
            "dimensions (a queue that is kept as columns is handed over transposed)"
        )


def _check_device(name: str, one: Tensor, other_name: str, other: Tensor) -> None:
    if one.device != other.device:
        raise InputError(f"the {name} lies on {one.device} and the {other_name} on {other.device}; use one device")


def _check_alike(name: str, one: Tensor, other_name: str, other: Tensor) -> None:
    if one.shape != other.shape or not len(one):
        raise InputError(
            f"the {name} is {_said(one)} and the {other_name} is {_said(other)}; both must hold one row for each image"
        )


def _said(value: object) -> str:
    """A tensor by its type and shape."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
