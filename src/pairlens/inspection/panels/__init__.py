"""The page's sections, one a file: `draw` makes each from what was computed."""
