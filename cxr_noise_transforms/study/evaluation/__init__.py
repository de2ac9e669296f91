"""Measuring models under noise: what comes in are a model and films, what goes out is a long table.

One row per cell, noise seed, film, label and metric. A finished cell is a file; a sweep trains
networks and measures each of them in every cell.
"""

from .activation import activation_maps, last_features
from .checkpoint import trained_network
from .degradations import Contrast, Resolution
from .grid import IMAGENET_C, MEDMNIST_C_CHEST
from .inference import LoadOrTell, SaveMasks, SaveScores, TellUnread
from .measures import MEASURES, Measured
from .stress import stress_test
from .sweep import Sweep

__all__ = [
    "IMAGENET_C",
    "MEASURES",
    "MEDMNIST_C_CHEST",
    "Contrast",
    "LoadOrTell",
    "Measured",
    "Resolution",
    "SaveMasks",
    "SaveScores",
    "Sweep",
    "TellUnread",
    "activation_maps",
    "last_features",
    "stress_test",
    "trained_network",
]
