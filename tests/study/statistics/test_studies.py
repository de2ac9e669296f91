import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from tables import rows, scores

from cxr_noise_transforms.study.statistics.long_table import check_table
from cxr_noise_transforms.study.statistics.performance import performance
from cxr_noise_transforms.study.statistics.studies import by_study, ensemble


def views(seed: int, view: str, network: str = "A", n: int = 40) -> pd.DataFrame:
    """Films of one view of each study."""
    _, y = scores(0, n)
    s = expit(np.random.default_rng(seed).normal(y, 1.0))
    table = rows(s, y, network=network)
    return table.assign(image=[f"valid/{name}/study1/{view}.jpg" for name in table.image])


@pytest.mark.parametrize(("combine", "expected"), [("mean", np.mean), ("max", np.max)])
def test_a_study_has_one_score_of_all_its_views(combine: str, expected: object) -> None:
    frontal, lateral = views(1, "view1_frontal"), views(2, "view2_lateral")
    studies = by_study(pd.concat([frontal, lateral]), combine)
    check_table(studies)
    assert set(studies) == {*frontal, "degradation"}
    assert len(studies) == len(frontal)
    assert studies.image[0] == "valid/image0000/study1"
    pair = np.stack([frontal.value, lateral.value])
    np.testing.assert_allclose(studies.value, expected(pair, axis=0))  # type: ignore[operator]
    assert (studies.target == frontal.target.to_numpy()).all()


def test_a_study_of_one_view_is_that_view() -> None:
    frontal = views(1, "view1_frontal")
    for combine in ("mean", "max"):
        studies = by_study(frontal, combine)
        kept = ["value", "target", "patient", "source"]
        pd.testing.assert_frame_equal(studies[kept], frontal[kept])


def test_cells_labels_and_networks_stay_apart() -> None:
    parts = [views(1, "v1"), views(2, "v1", "B"), views(3, "v1").assign(label="other"),
             views(4, "v1").assign(sq=2.0)]  # fmt: skip
    table = pd.concat(parts)
    assert sorted(by_study(table).value) == sorted(table.value)


def test_two_views_that_disagree_make_a_positive_study() -> None:
    frontal, lateral = views(1, "v1"), views(2, "v2").assign(target=np.nan)
    lateral.loc[0, "target"] = 1
    studies = by_study(pd.concat([frontal, lateral]))
    assert studies.target.tolist() == [1.0, *frontal.target[1:]]


def test_an_ensemble_is_one_network_over_all_views() -> None:
    frontal, lateral = views(1, "view1_frontal", "F"), views(2, "view2_lateral", "L")
    both = ensemble([frontal, lateral.iloc[:30]], "both")
    assert set(both.network) == {"both"}
    alone = both.value.iloc[30:].to_numpy()
    np.testing.assert_array_equal(alone, frontal.value.iloc[30:])


def test_two_readers_with_independent_errors_know_more_than_one() -> None:
    one, other = views(5, "v1", n=2000), views(6, "v2", n=2000)
    alone, both = (
        performance(table).set_index("metric").value["auroc"]
        for table in (by_study(one), ensemble([one, other], "both"))
    )
    assert both > alone


def test_what_cannot_be_combined_is_refused() -> None:
    with pytest.raises(ValueError, match="combine must be mean or max, got 'median'"):
        by_study(views(1, "v1"), "median")
    with pytest.raises(ValueError, match="table must hold scores to be combined"):
        by_study(views(1, "v1").assign(metric="dice"))
