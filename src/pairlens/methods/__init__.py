"""Contrastive methods, one short file each."""
