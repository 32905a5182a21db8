"""Data sets, splits, features and what a method may see of them."""
