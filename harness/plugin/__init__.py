"""The contracts with plugins, and how plugins are found, loaded and hashed."""
