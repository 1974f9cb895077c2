"""The phases of a training step, by the names that tables and pages share."""

PHASES = ("data", "views", "forward", "backward", "record", "rest")
