"""Code of backbones that computes exactly the same features as earlier code: hash now to hash then.

Cells name the code behind their features by its hash, so that edited code is never shown an old number. Where an edit
changes no bit of any feature, its line here lets records and cached features stand. Whoever edits that code again does
one of two things: show that features stay bit-equal (tests/plugins/test_same_results.py) and bring the line up to date,
or leave it, which makes new cells.

The hashes are those of Python 3.11; other versions write syntax trees in other ways, and have other hashes throughout.
"""

from __future__ import annotations

FEATURES = {
    "2e9e57398eea289d": "98a9ad301d51af56",  # torchvision
    "b4870fefed8c58d8": "151ec49183dbc323",  # transformers
    "cf301f8139f04969": "04839e3e3be2577c",  # sentence-transformers
    "2368075ca306b472": "48704c8bb874c500",  # transformers-clip
    "e9ed8b39daf39e9d": "95909d7e63f830a6",  # handcrafted and tfidf-svd
}
