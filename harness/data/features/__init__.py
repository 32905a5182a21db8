"""Features of images and captions: computed, cached, read from files, written to files."""
