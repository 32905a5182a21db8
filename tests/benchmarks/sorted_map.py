"""Mean average precision the obvious way, as a yardstick for the benchmarks: sort, then go through the ranking."""

from __future__ import annotations

import numpy as np


def sorted_average_precision(query_bits, database_bits, query_labels, database_labels):
    """(n_query,) AP of the whole ranking; ties in the order of the database, as the published programs leave them.

    Args:
        query_bits: (n_query, n_bits) of -1 and 1, float32.
        database_bits: (n_database, n_bits) of -1 and 1, float32.
        query_labels: (n_query,) integers.
        database_labels: (n_database,) integers.
    """
    values = np.zeros(len(query_bits))
    for q, query in enumerate(query_bits):
        distance = 0.5 * (database_bits.shape[1] - database_bits @ query)
        relevant = database_labels[np.argsort(distance)] == query_labels[q]
        ranks = np.flatnonzero(relevant) + 1
        if len(ranks):
            values[q] = (np.arange(1, len(ranks) + 1) / ranks).mean()
    return values
