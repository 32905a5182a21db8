"""Trackers hear of runs (TensorBoard, MLflow, Weights & Biases, yours). Each lives in a process of its own."""
