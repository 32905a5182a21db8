"""Noise protocols and noise plans: which training pairs are wrong, as data that is saved, shared and checked."""
