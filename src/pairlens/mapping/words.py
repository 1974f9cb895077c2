"""How a map was made, in words."""

from collections.abc import Sequence

from pairlens.evaluate.clusters import MOST
from pairlens.evaluate.vicinity import FAR_OUT
from pairlens.mapping.asked import COUNTED, Looking
from pairlens.mapping.summary import Found
from pairlens.report.html import Html, join, prose, tag
from pairlens.report.text import clean, count, listed


def method(look: Looking, found: Sequence[Found]) -> Html:
    """All that a reader must know to make the map again."""
    asked, searched = look.asked, count(len(look.asked.searched))
    sizes = listed([f"{size} px" for size in sorted({one.track.opened.size for one in found})])
    number = "As many clusters as were asked for"
    if asked.clusters is None:
        number = "As many clusters as there are labels"
        if look.labels is None:
            number = f"The number of clusters, 2 to {MOST}, is that of the greatest mean silhouette"
    said = [
        f"Images are seen without augmentation, as evaluation sees them, in views of {sizes}: whole up to 64 px, else "
        "the central square; the thumbnails show just that. Features are the encoder's, brought to unit length, so all "
        "distances and neighbours are by cosine, exact, and all images are compared with all.",
        "Principal axes: each moment along its own two axes of greatest variance, then turned, mirrored and moved, "
        "never stretched, until its points lie as those of the next moment do (orthogonal Procrustes, from the last "
        "moment back). Each moment is drawn as large as fits; how alike all images are is told by their mean cosine.",
        "t-SNE (van der Maaten & Hinton, 2008), perplexity 30, of the first 50 principal components. Each moment goes "
        "on from the map of the one before, with less exaggeration and fewer iterations than the first, and is turned "
        "to lie as it does: points move no more than they must. Neighbourhoods mean something; distances between "
        "clusters, and their sizes, do not.",
        f"Clusters are k-means of the features. {number}. NMI is mutual information over the mean entropy, ARI the "
        "adjusted Rand index.",
        f"The outlier score is the mean cosine distance to the {COUNTED} nearest others, among {searched} training "
        "images. Two images are near-duplicates where the logarithm of their cosine distance lies more than "
        f"{FAR_OUT:g} interquartile ranges below the lower quartile of all images' distances to their nearest (Tukey's "
        "outer fence), so the threshold follows from the encoder's own features. It is strict: of 100 copies put among "
        "3 000 images of CIFAR-10 it found the exact and the compressed ones, 8 of 20 cropped ones, few mirrored or "
        "darker ones, and nothing else, with an encoder trained for 8 epochs.",
    ]
    return join(tag("p", {}, prose(clean(text))) for text in said)
