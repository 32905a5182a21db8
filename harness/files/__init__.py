"""Files on disk, whoever wrote them: TOML with lines, npz, JSON, whole-file writes, paths made of names in files."""
