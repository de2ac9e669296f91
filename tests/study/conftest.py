import os
from pathlib import Path

import pytest

# no test may ask a model hub
os.environ["HF_HUB_OFFLINE"] = "1"


def real_films(name: str) -> Path:
    """A folder of real films, in $CXR_DATA or beside the project."""
    beside = Path(__file__).parents[2].parent / "shared" / "cxr"
    folder = Path(os.environ.get("CXR_DATA", beside)) / name
    if not folder.is_dir():
        pytest.skip(f"no real films in {folder}; set CXR_DATA to use them")
    return folder


@pytest.fixture(scope="session")
def landmark_data() -> Path:
    """The Landmark dataset's folder."""
    return real_films("landmark")


@pytest.fixture(scope="session")
def nih64_data() -> Path:
    """A part of ChestX-ray14, 64 x 64."""
    return real_films("nih64")


@pytest.fixture(scope="session")
def official_table() -> Path:
    """The table of ChestX-ray14."""
    return real_films("tables") / "Data_Entry_2017_v2020.csv.gz"


@pytest.fixture(scope="session")
def tb_data() -> Path:
    """Shenzhen's films for tuberculosis, in the layout of ChestX-ray14."""
    return real_films("tb")


@pytest.fixture(scope="session")
def chexpert_table() -> Path:
    """Rows of CheXpert's own table, renumbered, without films."""
    return real_films("tables") / "chexpert_sample.csv"


@pytest.fixture(scope="session")
def dicom_data() -> Path:
    """Two DICOM films of the same pixels, one of them marked MONOCHROME1."""
    return real_films("dicom")
