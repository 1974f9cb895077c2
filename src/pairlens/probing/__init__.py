"""The probe: what any encoder is blind to and what it keeps, measured, judged, and put on a page."""
