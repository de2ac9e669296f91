import os
from pathlib import Path

import pytest

# no test may ask a model hub
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def landmark_data() -> Path:
    """The Landmark dataset's folder, in $CXR_DATA or beside the project."""
    beside = Path(__file__).parents[2].parent / "shared" / "cxr"
    folder = Path(os.environ.get("CXR_DATA", beside)) / "landmark"
    if not folder.is_dir():
        pytest.skip(f"no real films in {folder}; set CXR_DATA to use them")
    return folder
