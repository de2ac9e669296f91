"""Films to segment and to classify: the Landmark dataset, ChestX-ray14, and embedded phantoms."""

from .chestxray14 import PAIRS, LoadLabelledFilm, classification_films
from .films import Film, cached, read_grey
from .landmark import ORGANS, LoadMaskedFilm, organ_names, segmentation_films

__all__ = [
    "ORGANS",
    "PAIRS",
    "Film",
    "LoadLabelledFilm",
    "LoadMaskedFilm",
    "cached",
    "classification_films",
    "organ_names",
    "read_grey",
    "segmentation_films",
]
