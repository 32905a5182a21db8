"""From options to a fully determined cell."""
