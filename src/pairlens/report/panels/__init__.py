"""The report's panels: compute(run) -> data, draw(data) -> figure."""
