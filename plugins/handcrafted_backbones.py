"""Backbones that need no weights: shape, texture and colour for images, TF-IDF and what follows for captions."""

from __future__ import annotations

from harness import Parameter, hookimpl
from harness.plugin.hookspecs import RegisterBackbone


@hookimpl
def register_backbones(register: RegisterBackbone) -> None:
    """Register both."""
    register(
        "handcrafted",
        "harness_plugins.handcrafted_features:ShapeTextureColour",
        modality="image",
        summary="oriented gradients, local binary patterns and HSV colours, scaled by training images",
        paper="Dalal and Triggs, CVPR 2005 (oriented gradients); Ojala et al., TPAMI 2002 (local binary patterns)",
        parameters=[
            Parameter("size", 64, "Images are scaled to size x size pixels after the centre crop.", minimum=16),
            Parameter("cell", 8, "Pixels per side of a cell of gradients.", minimum=2),
            Parameter("bins", 8, "Bins of each of the three colour histograms per quarter of the image.", minimum=2),
        ],
    )
    further = (
        Parameter("words", 1, "Longest run of words that counts as a term: 2 adds pairs of words.", minimum=1),
        Parameter(
            "stop_words", "english", "Leave scikit-learn's English stop words out, or keep all.",
            choices=("english", "keep"),
        ),
    )  # fmt: skip
    register(
        "tfidf-svd",
        "harness_plugins.caption_words:TfidfSvd",
        modality="text",
        summary="TF-IDF of words, then truncated SVD (scikit-learn), fitted on the training captions",
        paper="Deerwester et al., Indexing by latent semantic analysis, JASIS 1990",
        parameters=[
            Parameter("dimension", 128, "Dimensions kept, at most what the captions allow.", minimum=1),
            *further,
        ],
    )
    register(
        "random-indexing",
        "harness_plugins.caption_words:RandomIndexing",
        modality="text",
        summary="words by the training captions that they are in, each a random vector; captions by their words",
        paper="Kanerva et al., Random indexing of text samples for latent semantic analysis, CogSci 2000",
        parameters=[
            Parameter("dimension", 384, "Dimensions, as many as a small sentence encoder has.", minimum=1),
            *further,
        ],
    )
