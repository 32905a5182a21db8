"""Image backbones of torchvision: ``torchvision/resnet18``, ``torchvision/squeezenet1_1``, ..."""

from __future__ import annotations

from harness import Parameter, hookimpl
from harness.plugin.hookspecs import RegisterBackbone

BF16 = Parameter(
    "precision",
    "fp32",
    "Number format of the network's products; bf16 is faster on most GPUs, and gives other features.",
    choices=("fp32", "bf16"),
    unsaid=True,
)


@hookimpl
def register_backbones(register: RegisterBackbone) -> None:
    """Register the family."""
    register(
        "torchvision",
        "harness_plugins.torchvision_features:TorchvisionFeatures",
        modality="image",
        summary=(
            "penultimate layer of a torchvision classifier, for example torchvision/resnet18 or "
            "torchvision/squeezenet1_1"
        ),
        paper="https://docs.pytorch.org/vision/stable/models.html",
        models=True,
        weights="optional",
        recipes=("standard", "released"),
        parameters=[
            Parameter("batch_size", 64, "Images per batch.", minimum=1),
            Parameter(
                "crop",
                200,
                "Centre crop in pixels (the CHNR features: 200); larger than the image means no crop.",
                minimum=1,
            ),
            Parameter("size", 224, "Side of the network's input in pixels.", minimum=32),
            Parameter(
                "released_batch",
                0,
                "Images per batch of --image-recipe released; 0: a quarter of the images, at most 525.",
                minimum=0,
                unsaid=True,
            ),
            BF16,
        ],
    )
