import numpy as np
import pandas as pd
from tables import rows, scores

from cxr_noise_transforms.study.statistics.films import failures, film_values, label_counts

CLEAN, NOISY = (0.0, 0.0), (4.0, 0.0)


def values(metric: str, clean: list[float], noisy: list[float]) -> pd.DataFrame:
    return pd.concat(
        rows(np.array(found), metric=metric, cell=cell)
        for found, cell in ((clean, CLEAN), (noisy, NOISY))
    )


def test_films_without_a_label_are_counted() -> None:
    s, y = scores(1)
    y[3:5] = np.nan
    masks = rows(np.where(y == 1, np.nan, s), metric="dice", label="lungs")
    noisy = rows(s, y, cell=NOISY)
    counts = label_counts(pd.concat([rows(s, y), noisy, masks, rows(s, y * np.nan, label="none")]))
    positive, negative = (y == 1).sum(), (y == 0).sum()
    assert counts.index.tolist() == ["finding", "lungs", "none"]
    assert (counts.films == len(y)).all()
    assert counts.positive.tolist() == [positive, 0, 0]
    assert counts.negative.tolist() == [negative, 0, 0]
    assert counts.left_out.tolist() == [2, positive, len(y)]


def test_films_have_the_probability_of_the_truth() -> None:
    films = film_values(rows(np.array([0.9, 0.2, 0.4]), np.array([1, 0, np.nan])), "score")
    # a film without a label says nothing
    assert films[CLEAN].to_dict() == {"image0001": 0.8, "image0000": 0.9}


def test_the_worst_film_is_first() -> None:
    table = values("dice", [0.9, 0.9, 0.8], [0.5, 0.1, 0.6])
    assert film_values(table, "dice").index.tolist() == ["image0001", "image0000", "image0002"]
    errors = table.assign(metric="surface_distance")
    assert film_values(errors, "surface_distance").index[0] in {"image0000", "image0002"}
    assert film_values(table, "iou").empty


def test_films_fail_where_half_is_lost() -> None:
    films = film_values(values("dice", [0.8, 0.8, np.nan], [0.4, 0.5, 0.5]), "dice")
    failed = failures(films, "dice", CLEAN)
    assert failed[NOISY].to_dict() == {"image0000": True, "image0001": False, "image0002": False}
    assert not failed[CLEAN].any()


def test_errors_fail_where_they_double() -> None:
    films = film_values(values("surface_distance", [1, 1, 0], [2, 1.5, 0]), "surface_distance")
    failed = failures(films, "surface_distance", CLEAN)
    assert failed[NOISY].to_dict() == {"image0000": True, "image0001": False, "image0002": False}
    assert not failed[CLEAN].any()
