"""What a map tells, in words, and all its numbers for JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pairlens.evaluate.clusters import agreement
from pairlens.evaluate.vicinity import FAR_OUT
from pairlens.mapping.asked import COUNTED, Asked, Frame, Looking, Track
from pairlens.mapping.copies import EXACT, FEATURES, NEARLY, Compared
from pairlens.report.text import clean, count, number, percent, shorten


@dataclass(frozen=True)
class Found:
    """One encoder's maps and what was compared with pixels."""

    track: Track
    copies: Compared


def sentences(found: Sequence[Found], look: Looking) -> list[str]:
    """The findings, those of each encoder by its name where there are several."""
    said = []
    for one in found:
        head = f"{one.track.name}: " if len(found) > 1 else ""
        said += [f"{head}{text}" if head else text for text in _of(one, look)]
    return said


def _of(found: Found, look: Looking) -> list[str]:
    track, last = found.track, found.track.last
    if last.flat:
        return [
            "All images have the same features: the encoder has collapsed, and there is nothing to map. Neighbours, "
            "clusters, outliers and near-duplicates tell nothing."
        ]
    return [
        text for text in (_labels(track, look), _clusters(track, look), _near(found), _outlier(track, look)) if text
    ]


def _labels(track: Track, look: Looking) -> str | None:
    first, last = track.frames[0], track.last
    if last.agreed is None:
        if len(track.frames) == 1:
            return None
        return (
            f"Of an image's nearest neighbours at the end, {percent(first.kept, 0)} were its neighbours before the "
            f"training ({first.moment.title})."
        )
    before = ""
    if len(track.frames) > 1 and first.agreed is not None:
        before = f", {percent(first.agreed, 0)} at the beginning ({first.moment.title})"
    return (
        f"Of an image's {min(COUNTED, len(last.axes) - 1)} nearest neighbours {percent(last.agreed, 0)} have its "
        f"label{before}; by chance {percent(chance(look), 0)} would."
    )


def chance(look: Looking) -> float:
    """The share of other images that have an image's label."""
    assert look.labels is not None
    known = look.labels[look.labels >= 0].numpy()
    sizes = np.bincount(known)
    return float((sizes * (sizes - 1)).sum() / (len(known) * (len(known) - 1)))


def _clusters(track: Track, look: Looking) -> str | None:
    if track.clusters is None:
        return None
    made = int(track.clusters.max()) + 1
    same = None if look.labels is None else agreement(track.clusters, look.labels.numpy())
    if same is None:
        sizes = np.bincount(track.clusters).tolist()
        return f"k-means finds {made} cluster{'s' * (made != 1)}, of {count(min(sizes))} to {count(max(sizes))} images."
    return (
        f"{made} clusters, which k-means finds without labels, agree with the labels to NMI {same.nmi:.2f} and ARI "
        f"{same.ari:.2f} (1 is the same division; ARI 0 is chance)."
    )


def _near(found: Found) -> str:
    copies, searched = found.copies, count(len(found.track.features))
    if copies.near:
        words = {
            EXACT: "with identical pixels",
            NEARLY: "the same picture by their pixels",
            FEATURES: "in features only",
        }
        kinds = ", ".join(f"{count(copies.count(kind))} {text}" for kind, text in words.items() if copies.count(kind))
        listed = f"of the {count(len(copies.near))} most similar " if copies.total > len(copies.near) else ""
        text = (
            f"{count(copies.total)} pair{'s' * (copies.total != 1)} of near-duplicates among {searched} training "
            f"images, at a cosine of {found.track.alike.threshold:.3f} or more ({listed}{kinds})"
        )
    else:
        text = f"No two of {searched} training images are near-duplicates in feature space"
    if copies.apart:
        one = len(copies.apart) == 1
        lie = "pair of copies in pixels lies" if one else "pairs of copies in pixels lie"
        text += f"; {count(len(copies.apart))} {lie} apart in features"
    return f"{text}."


def _outlier(track: Track, look: Looking) -> str:
    scores = track.near.outlying
    row = int(scores.argmax())
    name = shorten(clean(look.asked.source.train.names[int(look.asked.searched[row])]), 80)
    return (
        f"The image farthest from all others is {name}: mean cosine distance {number(float(scores[row]))} to its "
        f"{track.near.index.shape[1]} nearest, against {number(float(scores.median()))} of the median image."
    )


def record(asked: Asked, found: Sequence[Found], look: Looking) -> dict[str, Any]:
    """All numbers but those of every image, which `arrays` gives; images are told by their places and names."""
    train, index = asked.source.train, asked.searched.tolist()
    return {
        "source": asked.source.name,
        "arguments": {n: getattr(asked, n) for n in ("images", "among", "neighbours", "clusters", "seed")},
        "images": len(look.images),
        "searched": len(index),
        "encoders": [_encoder(one, index, train.names) for one in found],
    }


def arrays(found: Found, look: Looking) -> dict[str, np.ndarray]:
    """Numbers of every image: those of the map, F moments; of the M searched ones what ends in `searched`.

    `index_searched` [M], places in the training set, the N of the map first, and `names` [N]; `axes` and `t_sne`
    [F, N, 2], NaN where there is no t-SNE; `neighbours` [F, N, K], places on the map, and their `cosine`; `clusters`
    [N], of the last moment, -1 without scikit-learn; `outlier_score_searched` [M].
    """
    track, count = found.track, len(look.images)
    absent = np.full((count, 2), np.nan, np.float32)
    return {
        "index_searched": look.asked.searched.numpy(),
        "names": np.array([clean(name) for name in look.images.names]),
        "axes": np.stack([frame.axes for frame in track.frames]),
        "t_sne": np.stack([absent if frame.t_sne is None else frame.t_sne for frame in track.frames]),
        "neighbours": np.stack([frame.near.index.numpy() for frame in track.frames]),
        "cosine": np.stack([frame.near.cosine.numpy() for frame in track.frames]),
        "clusters": np.full(count, -1) if track.clusters is None else track.clusters,
        "outlier_score_searched": track.near.outlying.numpy(),
    }


def _encoder(found: Found, index: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    track = found.track
    pairs = {"near_duplicates": found.copies.near, "copies_apart": found.copies.apart}
    scores = track.near.outlying
    return {
        "name": track.name,
        "what": track.opened.name,
        "size": track.opened.size,
        "moments": [_frame(frame, key) for frame, key in zip(track.frames, track.keys, strict=True)],
        "clusters": None if track.clusters is None else int(track.clusters.max()) + 1,
        "outliers": [names[index[i]] for i in scores.argsort(descending=True, stable=True)[:24].tolist()],
        "threshold": track.alike.threshold,
        "far_out": FAR_OUT,
        "near_duplicates_in_all": found.copies.total,
        **{
            name: [
                {"images": [index[p.one], index[p.other]], "names": [names[index[p.one]], names[index[p.other]]]}
                | {"cosine": p.cosine, "kind": p.kind}
                for p in some
            ]
            for name, some in pairs.items()
        },
    }


def _frame(frame: Frame, key: str) -> dict[str, Any]:
    return {
        "name": frame.moment.name,
        "step": frame.moment.step,
        "epoch": frame.moment.epoch,
        "features": f"{key}.features",
        "collapsed": frame.flat,
        "mean_cosine": frame.mean_cosine,
        "neighbours_of_same_label": None if frame.agreed is None or math.isnan(frame.agreed) else frame.agreed,
        "neighbours_of_the_end": frame.kept,
        "clusters_and_labels": None if frame.clusters is None else asdict(frame.clusters),
        "explained_by_axes": list(frame.explained),
    }
