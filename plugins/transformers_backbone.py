"""Backbones of Hugging Face transformers: encoders of captions, of images, and pairs with a shared space."""

from __future__ import annotations

from harness_plugins.torchvision_backbone import BF16

from harness import Parameter, hookimpl
from harness.plugin.hookspecs import RegisterBackbone

NORMALISE = Parameter("normalise", True, "Scale each feature vector to length 1.")


@hookimpl
def register_backbones(register: RegisterBackbone) -> None:
    """Register the backbones."""
    register(
        "transformers",
        "harness_plugins.transformers_features:TransformersText",
        modality="text",
        summary="sentence features of a transformers encoder (--text-weights: local folder or hub name)",
        paper="Reimers and Gurevych, Sentence-BERT, EMNLP 2019 (mean pooling)",
        weights="required",
        parameters=[
            Parameter(
                "pooling",
                "mean",
                "Mean over real tokens; the first token; the sum of the last four layers, mean over real tokens; or "
                "that over all max_tokens positions, as the CHNR code has it (captions lower-cased, without . , ! ?).",
                ("mean", "cls", "last-four", "released"),
            ),
            NORMALISE,
            Parameter(
                "max_tokens",
                64,
                "Longer captions are cut; at the positions that the model knows in any case.",
                minimum=4,
            ),
            Parameter("batch_size", 128, "Captions per batch.", minimum=1),
            BF16,
        ],
    )
    register(
        "sentence-transformers",
        "harness_plugins.sentence_transformers_folder:SentenceTransformersFolder",
        modality="text",
        summary="a folder of sentence-transformers, pooled as it says itself (--text-weights: folder or hub name)",
        paper="Reimers and Gurevych, Sentence-BERT, EMNLP 2019",
        weights="required",
        whole_folder=True,
        parameters=[Parameter("batch_size", 128, "Captions per batch.", minimum=1), BF16],
    )
    register(
        "transformers-vision",
        "harness_plugins.transformers_vision:TransformersVision",
        modality="image",
        summary="ResNet, ViT, DINOv2, ... of transformers (--image-weights: local folder or hub name)",
        paper="Wolf et al., Transformers, EMNLP 2020 (demonstrations)",
        weights="required",
        parameters=[
            Parameter(
                "pooling",
                "auto",
                "The first token where it stands for the image, otherwise the mean; or cls or mean.",
                ("auto", "cls", "mean"),
            ),
            Parameter("normalise", False, "Scale each feature vector to length 1."),
            Parameter("batch_size", 64, "Images per batch.", minimum=1),
            BF16,
        ],
    )
    register(
        "transformers-clip",
        "harness_plugins.transformers_clip:TransformersClip",
        modality="both",
        summary="CLIP or SigLIP of transformers (--pretrained: local folder or hub name)",
        paper="Radford et al., CLIP, ICML 2021; Zhai et al., SigLIP, ICCV 2023",
        weights="required",
        parameters=[NORMALISE, Parameter("batch_size", 64, "Images or captions per batch.", minimum=1), BF16],
    )
