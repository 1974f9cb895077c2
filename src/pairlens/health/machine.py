"""Rules on what stands around the training: the machine, boxes and files."""

from pairlens.health.evidence import Evidence
from pairlens.health.rule import BEGUN, Finding, above, found, known, rule, unknown
from pairlens.words import count, percent

BOUND = 0.5
"""Share of a step spent waiting for pixels above which the network mostly waits."""
WAITING = 0.25
"""Share that is worth watching."""
USELESS = 0.5
"""Share of boxes that are nearly whole images, or nearly points, above which boxes say next to nothing."""
SOME_LOST = 0.005
"""Share of files that cannot be read that is worth watching."""
MANY_LOST = 0.05
"""Share of files that cannot be read above which the set is another than was meant."""


@rule(
    since=BEGUN,
    looks_at="share of the median step that is spent waiting for pixels",
    threshold=f"ill: above {BOUND:g}; watch: above {WAITING:g}",
    meaning="The network waits for images to be decoded.",
    cause="Photographs are decoded anew in every epoch, more slowly than the network learns from them.",
    remedy="Decode once (`--decode once`), raise `--workers`, or install the `fast` extra (simplejpeg).",
)
def data_bound(evidence: Evidence) -> Finding:
    """The network waits for images."""
    share = evidence.waiting
    if not known(share):
        return unknown("it is not recorded where a step's time goes")
    said = f"{percent(share, 0)} of a step is spent waiting for pixels"
    return found(above(share, BOUND, WAITING), said)


@rule(
    since=0.0,
    looks_at="the newest boxes (ContrastiveCrop)",
    threshold=f"ill: more than {USELESS:.0%} of them nearly the whole image, or nearly a point",
    meaning="Boxes say next to nothing of where the objects are.",
    cause="The threshold of heat does not fit the encoder's heat maps, or the encoder has learned too little yet.",
    remedy="Change `--box-threshold`, choose it by coverage (`--box-coverage 0.5`), or let the encoder warm up longer "
    "(`--box-start`).",
)
def useless_boxes(evidence: Evidence) -> Finding:
    """Boxes are whole images, or points."""
    boxes = evidence.boxes
    if boxes is None:
        return unknown("no boxes were found")
    said = (
        f"{percent(boxes.whole, 0)} of the boxes are nearly the whole image, {percent(boxes.point, 0)} nearly a point; "
        f"the median covers {percent(boxes.coverage, 0)}, with k = {boxes.k:g}"
    )
    if max(boxes.whole, boxes.point) <= USELESS:
        return found("ok", said)
    change = "Raise" if boxes.whole > boxes.point else "Lower"
    remedy = (
        f"{change} `--box-threshold` (now {boxes.k:g}), choose it by coverage (`--box-coverage 0.5`), or let the "
        "encoder warm up longer (`--box-start`)."
    )
    return found("ill", said, remedy=remedy)


@rule(
    since=0.0,
    looks_at="files that cannot be read",
    threshold=f"ill: more than {MANY_LOST:.0%} of the set; watch: more than {SOME_LOST:.1%}",
    meaning="Images are missing: others take their places.",
    cause="Files are broken, or were moved while the run went on.",
    remedy="`events.jsonl` names each file: mend or restore them, and train anew if they are many.",
)
def lost_files(evidence: Evidence) -> Finding:
    """Files cannot be read."""
    skipped, replaced = evidence.files
    if evidence.observed:
        return unknown("the images of an observed loop are not known")
    if not skipped + replaced:
        return found("ok", "every file was read")
    said = f"files left out: {count(skipped)}, replaced by other images: {count(replaced)}"
    whole = evidence.images + skipped
    if not known(whole) or whole <= 0:
        return found("watch", said)
    share = (skipped + replaced) / whole
    return found(above(share, MANY_LOST, SOME_LOST), f"{said}, of {count(whole)}")
