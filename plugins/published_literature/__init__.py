"""Tables of the literature that quote many methods at once, as facts with their sources; docs/published.md."""

from __future__ import annotations

from pathlib import Path

from harness import hookimpl
from harness.plugin.hookspecs import RegisterPublished

HERE = Path(__file__).parent

UCCH = "Hu, Zhu, Lin, Peng, Zhao, Peng, Unsupervised contrastive cross-modal hashing, TPAMI 2023"
CCAH = (
    "CCAH: a CLIP-based cycle alignment hashing method for unsupervised vision-text retrieval, International Journal "
    "of Intelligent Systems 2023, article 7992047"
)


@hookimpl
def register_published(register: RegisterPublished) -> None:
    """Register both tables."""
    register(
        "ucch-tpami2023",
        HERE / "ucch.toml",
        summary="mAP of 14 methods on MIRFlickr, IAPR TC-12, NUS-WIDE and MS COCO, 16 to 128 bits",
        paper=UCCH,
    )
    register(
        "ccah-ijis2023",
        HERE / "ccah.toml",
        summary="mAP@50 of 12 methods on MIRFlickr and NUS-WIDE, 16 to 128 bits",
        paper=CCAH,
    )
