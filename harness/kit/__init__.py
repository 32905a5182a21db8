"""The kit for plugin authors: templates, and the report of checks.

Nothing in the core imports this room.
"""
