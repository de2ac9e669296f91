import numpy as np
import pandas as pd
import pytest
from tables import rows, scores

from cxr_noise_transforms import quantum_severity
from cxr_noise_transforms.study.statistics.performance import performance
from cxr_noise_transforms.study.statistics.plane import FIELD, resolution_plane

SIZES = {"large": 224, "small": 56}


def measured(photons: dict[str, float]) -> pd.DataFrame:
    return pd.concat(
        [
            rows(*scores(place + int(sq > 0)), cell=(sq, 0), network=network)
            for place, (network, count) in enumerate(photons.items())
            for sq in (0.0, float(quantum_severity(count)))
        ],
        ignore_index=True,
    )


def test_one_dose_is_as_many_photons_per_film() -> None:
    plane = resolution_plane(measured({"large": 100.0, "small": 1600.0}), SIZES, resamples=50)
    noisy = plane[np.isfinite(plane.photons)]
    assert len(plane) == 4
    # three digits are kept
    assert noisy.photons.to_list() == [float(f"{100 * (224 / FIELD) ** 2:.3g}")] * 2


def test_values_are_those_of_the_networks() -> None:
    table = measured({"large": 100.0, "small": 1600.0})
    plane = resolution_plane(table, SIZES, resamples=50)
    perf = performance(table).query("metric == 'auroc'")
    for row in plane.itertuples():
        of_network = perf[perf.network == row.network]
        expected = of_network[(of_network.sq == 0) == np.isinf(row.photons)].value.item()
        assert row.value == pytest.approx(expected)
        assert row.size == SIZES[row.network]
        assert row.lower < row.value < row.upper


def test_more_photons_are_a_higher_dose() -> None:
    doses = [
        resolution_plane(measured({"large": count}), SIZES, resamples=9).photons.iloc[-1]
        for count in (10.0, 40.0)
    ]
    assert doses[1] == pytest.approx(4 * doses[0], rel=0.01)


def test_what_has_no_place_in_the_plane_is_refused() -> None:
    table = measured({"large": 100.0})
    with pytest.raises(ValueError, match="sizes must have every network, lack large"):
        resolution_plane(table, {"small": 56})
    with pytest.raises(ValueError, match="has electronic noise too"):
        resolution_plane(table.assign(se=1.0), SIZES)
