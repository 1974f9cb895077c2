"""Inverting the features of some encoders side by side: what they keep of images at each depth, on one page."""
