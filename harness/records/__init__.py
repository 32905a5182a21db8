"""Run records on disk: the single source of truth."""
