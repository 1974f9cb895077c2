"""The embedding map: images as points where encoders place them, over the course of a training, on one page."""
