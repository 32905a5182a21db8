"""Hash codes, Hamming distances and tie-aware metrics. Needs numpy and scipy only, and knows nothing of the rest."""
