"""Training on clean or noisy films: networks, and the handlers that a bundle hangs on its engines.

What comes in are a split of films and the bundle's settings, what goes out are checkpoints: the
best, the average, and one from which an interrupted training goes on.
"""

from .averaging import WeightAveraging
from .handlers import ClipGradNorm, EarlyStop, EpochProgress, EpochSeeds, RefuseNaN, SameBuffers
from .networks import classification_network, load_checkpoint, segmentation_network
from .resume import Resume
from .uncertainty import FindingLogits, UncertainLabelLoss, finding_logits

__all__ = [
    "ClipGradNorm",
    "EarlyStop",
    "EpochProgress",
    "EpochSeeds",
    "FindingLogits",
    "RefuseNaN",
    "Resume",
    "SameBuffers",
    "UncertainLabelLoss",
    "WeightAveraging",
    "classification_network",
    "finding_logits",
    "load_checkpoint",
    "segmentation_network",
]
