"""Encoders, projection heads and the branch that joins them."""
