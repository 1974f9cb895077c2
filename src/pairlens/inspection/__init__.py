"""A set of images and a recipe, looked at before any training: what would be trained on, as facts and as a page."""
