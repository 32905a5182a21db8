"""Plan files: grids of cells in TOML, and those that come with the harness."""
