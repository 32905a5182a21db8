"""What a computation runs on: device, seeds, precision, settings, cost, environment, processes."""
