"""``python -m harness`` does what the script ``harness`` does."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # `python -m` puts the current folder first on sys.path. In a checkout its folder datasets/ would then be taken for
    # Hugging Face's package of that name; the script has no such entry.
    sys.path[:] = [place for place in sys.path if place != "" and Path(place) != Path.cwd()]
    from harness.cli import main

    main()
