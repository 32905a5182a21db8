"""Readers of the layouts in which data sets are published, one module for each."""
