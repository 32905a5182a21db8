"""Backbones of open_clip: ``open_clip/ViT-B-32`` and so on, with both towers."""

from __future__ import annotations

from harness_plugins.torchvision_backbone import BF16

from harness import Parameter, hookimpl
from harness.plugin.hookspecs import RegisterBackbone


@hookimpl
def register_backbones(register: RegisterBackbone) -> None:
    """Register the family."""
    register(
        "open_clip",
        "harness_plugins.open_clip_features:OpenClip",
        modality="both",
        summary="CLIP of open_clip, for example open_clip/ViT-B-32 (--pretrained: tag, or local checkpoint)",
        paper="Cherti et al., Reproducible scaling laws for contrastive language-image learning, CVPR 2023",
        models=True,
        weights="required",
        parameters=[
            Parameter("normalise", True, "Scale each feature vector to length 1."),
            Parameter("batch_size", 64, "Images or captions per batch.", minimum=1),
            BF16,
        ],
    )
