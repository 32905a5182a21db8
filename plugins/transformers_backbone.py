"""Text backbone of Hugging Face transformers: any encoder in a local folder or on the hub."""

from __future__ import annotations

from harness import Parameter, hookimpl


@hookimpl
def register_backbones(register):
    """Register the backbone."""
    register(
        "transformers",
        "harness_plugins.transformers_features:TransformersText",
        modality="text",
        summary="sentence features of a transformers encoder (--text-weights: local folder or hub name)",
        paper="Reimers and Gurevych, Sentence-BERT, EMNLP 2019 (mean pooling)",
        weights="required",
        parameters=[
            Parameter("pooling", "mean", "Mean over real tokens, or the first token.", ("mean", "cls")),
            Parameter("normalise", True, "Scale each feature vector to length 1."),
            Parameter("max_tokens", 64, "Longer captions are cut.", minimum=4),
            Parameter("batch_size", 128, "Captions per batch.", minimum=1),
        ],
    )
