"""Films, from a folder or drawn: what comes in are files, what goes out are films with their truth.

A film is a record of ``id``, ``patient``, ``source`` and where its image lies; a loader turns it
into tensors. Films are split by patient before anything learns from them.
"""

from .cache import cached
from .carried import Carried, carried_noise
from .chestxray14 import PAIRS, LoadLabelledFilm, classification_films
from .chexpert import FIVE, LoadStudyFilm, chexpert_films
from .folders import LabelledFolder, LoadFolderFilm, MaskedFolder, folder_films
from .labels import POLICIES, ApplyPolicy, target_and_weight
from .landmark import ORGANS, LoadMaskedFilm, organ_names, segmentation_films
from .noisy import apply_noise, replay_noise
from .phantom import chest_phantom
from .reader import read_grey
from .readings import with_groups
from .record import Film
from .splits import open_split, split_by_patient

__all__ = [
    "FIVE",
    "ORGANS",
    "PAIRS",
    "POLICIES",
    "ApplyPolicy",
    "Carried",
    "Film",
    "LabelledFolder",
    "LoadFolderFilm",
    "LoadLabelledFilm",
    "LoadMaskedFilm",
    "LoadStudyFilm",
    "MaskedFolder",
    "apply_noise",
    "cached",
    "carried_noise",
    "chest_phantom",
    "chexpert_films",
    "classification_films",
    "folder_films",
    "open_split",
    "organ_names",
    "read_grey",
    "replay_noise",
    "segmentation_films",
    "split_by_patient",
    "target_and_weight",
    "with_groups",
]
