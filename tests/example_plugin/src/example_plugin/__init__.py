"""An example plugin: a closed-form hasher and a noise detector."""
