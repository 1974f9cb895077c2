"""Label shift of some encoders side by side: where augmentation moves images between classes, on one page."""
