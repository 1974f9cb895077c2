"""Recording a run: statistics, samples, checkpoints, all in one folder."""
