from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.films import FIVE
from cxr_noise_transforms.study.report.gallery import View, draw
from cxr_noise_transforms.study.report.maps import finding_maps

BUNDLE = Path(__file__).parents[3] / "examples" / "bundles" / "classification"


def test_a_map_is_laid_over_the_film_where_it_is_bright(tmp_path: Path) -> None:
    film, heat = np.full((64, 64), 0.5), np.zeros((64, 64))
    heat[:32, :32] = 1
    (tmp_path / "map.jpg").write_bytes(draw(View(film, heat=heat)))
    picture = np.asarray(Image.open(tmp_path / "map.jpg").convert("RGB")).astype(int)
    half = len(picture) // 2
    coloured = np.ptp(picture, axis=2)
    # off the border, over which JPEG's blocks spread
    assert coloured[: half - 20, : half - 20].min() > 20
    assert coloured[half + 20 :, half + 20 :].max() < 10


@pytest.mark.slow
def test_every_finding_has_a_film_with_its_map(tmp_path: Path) -> None:
    sweep = Sweep(
        bundle=BUNDLE,
        out=tmp_path,
        task="findings",
        measure="multilabel",
        labels=FIVE,
        options={"dataset_dir": None, "size": 64, "phantoms": 64, "seed": 0, "policy": "ones"},
        training={"epochs": 1, "swa_start": None, "pretrained": "none", "batch_size": 8},
        cells=[(0, 0)],
        variant="findings",
        device="cpu",
    )
    table = sweep.run(["test_resnet"]).frame()
    galleries = finding_maps(sweep, "test_resnet", table, (10.0, 0.0))
    assert len(galleries) == len(FIVE)
    drawn_over = []
    for gallery, finding in zip(galleries, FIVE, strict=True):
        rows = table[(table.label == finding) & (table.target == 1)]
        surest = rows.image[rows.value.idxmax()]
        assert gallery.caption == f"{finding}, film {surest}"  # type: ignore[union-attr]
        clean, mapped, noisy = gallery.pictures  # type: ignore[union-attr]
        assert clean.caption == f"clean: P {rows.value.max():.2f}"
        assert mapped.caption == f"clean, map: P {rows.value.max():.2f}"
        assert noisy.caption.startswith("s_q")
        assert clean.content != noisy.content
        drawn_over.append(clean.content != mapped.content)
    # a map may be empty
    assert any(drawn_over)
    assert not finding_maps(sweep, "test_resnet", table.assign(target=0.0), (10.0, 0.0))
