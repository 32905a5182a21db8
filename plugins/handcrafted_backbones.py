"""Backbones that need no weights: HOG and colour for images, TF-IDF and truncated SVD for captions."""

from __future__ import annotations

from harness import Parameter, hookimpl


@hookimpl
def register_backbones(register):
    """Register both."""
    register(
        "handcrafted",
        "harness_plugins.handcrafted_features:HogAndColour",
        modality="image",
        summary="histogram of oriented gradients and HSV colour histogram (scikit-image)",
        paper="Dalal and Triggs, Histograms of oriented gradients for human detection, CVPR 2005",
        parameters=[
            Parameter("size", 64, "Images are scaled to size x size pixels after the centre crop.", minimum=16),
            Parameter("cell", 16, "Pixels per side of a HOG cell.", minimum=2),
            Parameter("bins", 8, "Bins of each of the three colour histograms per quarter of the image.", minimum=2),
        ],
    )
    register(
        "tfidf-svd",
        "harness_plugins.handcrafted_features:TfidfSvd",
        modality="text",
        summary="TF-IDF of words and word pairs, then truncated SVD (scikit-learn), fitted on the training captions",
        paper="Deerwester et al., Indexing by latent semantic analysis, JASIS 1990",
        parameters=[Parameter("dimension", 128, "Dimensions kept, at most what the captions allow.", minimum=1)],
    )
