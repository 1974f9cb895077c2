"""Image sources: everything that ends in fixed-size uint8 pixels and an index."""
