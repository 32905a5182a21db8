"""Data sets as files: fetched, unpacked, checked, audited."""
