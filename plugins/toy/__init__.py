"""The procedural `toy` dataset: small aerial-like scenes and their captions, made from a seed with no download."""
