"""Data folders in the layouts of the real ones."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from cxr_noise_transforms.study.films import chest_phantom
from cxr_noise_transforms.study.films.chexpert import FINDINGS

# polygons asymmetric left to right and top to bottom, in the dataset's 1024-pixel coordinates
RIGHT = np.array([[200, 200], [400, 150], [450, 600], [180, 700]], dtype=np.float64)
LEFT = RIGHT + np.array([400.0, 50.0])
HEART = np.array([[420, 550], [650, 560], [640, 760], [430, 740]], dtype=np.float64)

# the header as the dataset's owners wrote it: its last two names are four columns
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)


def write_image(path: Path, size: int = 64, seed: str | None = None) -> Path:
    """Pixels that follow from the name, or another seed, so that no two names share them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list((seed or path.name).encode()))
    Image.fromarray(rng.integers(0, 256, (size, size), dtype=np.uint8)).save(path)
    return path


def write_annotated(root: Path, stem: str, *, size: int = 64, heart: bool = True) -> Path:
    """One film of the Landmark dataset."""
    for contour, points in {"RL": RIGHT, "LL": LEFT, "H": HEART}.items():
        (root / "landmarks" / contour).mkdir(parents=True, exist_ok=True)
        if heart or contour != "H":
            np.save(root / "landmarks" / contour / f"{stem}.npy", points)
    return write_image(root / "Images" / f"{stem}.png", size)


def write_table(
    root: Path, rows: Iterable[tuple[str, str, object]], name: str = "Data_Entry_2017.csv"
) -> Path:
    """The table of image, findings and patient, with the other columns of the real one."""
    lines = [
        f"{image},{findings},0,{patient},57,M,PA,2682,2749,0.143,0.143"
        for image, findings, patient in rows
    ]
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("\n".join([HEADER, *lines]) + "\n")
    return root / name


def write_ward(root: Path) -> Path:
    """Six phantoms with masks, labels and patients, as the stress test takes them."""
    for kind in ("films", "lungs", "heart"):
        (root / kind / "ward").mkdir(parents=True)
    for seed in range(6):
        film, name = chest_phantom(seed, 64), f"ward/{seed:03}.png"
        Image.fromarray(film.image).save(root / "films" / name)
        # one kind of mask is stored as 0 and 255, the other as 0 and 1
        Image.fromarray(film.lungs.astype(np.uint8) * 255).save(root / "lungs" / name)
        Image.fromarray(film.heart.astype(np.uint8)).save(root / "heart" / name)
    rows = pd.DataFrame({"image": [f"ward/{seed:03}.png" for seed in range(6)]})
    rows.assign(patient=["a", "a", "b", "c", "d", "e"]).to_csv(root / "patients.csv", index=False)
    rows.assign(sick=[0, 1, 0, 1, 0, 1], old=[1, 1, 0, 0, 1, 0]).to_csv(
        root / "labels.csv", index=False
    )
    return root


def write_chexpert(
    root: Path, patients: Iterable[tuple[str, int, Mapping[str, float]]], size: int = 48
) -> Path:
    """CheXpert's folder: each patient's part, number and labels, one study of both views."""
    columns = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *FINDINGS]
    rows: dict[str, list[dict[str, object]]] = {"train": [], "valid": []}
    for part, number, labels in patients:
        for place, (view, angle) in enumerate((("Frontal", "AP"), ("Lateral", "")), start=1):
            path = f"{part}/patient{number:05d}/study1/view{place}_{view.lower()}.jpg"
            write_image(root / path, size, seed=path)
            about = {"Path": f"CheXpert-v1.0-small/{path}", "Sex": "Male", "Age": 50}
            rows[part].append({**about, "Frontal/Lateral": view, "AP/PA": angle, **labels})
    for part, some in rows.items():
        pd.DataFrame(some, columns=columns).to_csv(root / f"{part}.csv", index=False)
    return root
