"""pairlens: contrastive self-supervised learning on images that shows its positive and negative pairs."""

__version__ = "0.1.0"
