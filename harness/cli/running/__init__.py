"""The verbs that run cells, and what they share."""
