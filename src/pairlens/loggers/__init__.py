"""Handing a run's statistics to TensorBoard, Weights & Biases or trackio; the run's own files stay the truth."""
