"""Names of films, with dots and endings in any place."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cxr_noise_transforms.study.films.names import ENDINGS, called, is_film

STEMS = st.lists(st.sampled_from(["a", "1", "png", "tif"]), min_size=1, max_size=4).map(".".join)


@given(st.dictionaries(STEMS, st.sampled_from(ENDINGS)))
def test_a_film_is_known_by_its_files_name_and_by_that_without_ending(films: dict) -> None:
    names = called({"id": stem, "image": f"dir/{stem}{end}"} for stem, end in films.items())
    files = {f"{stem}{end}": stem for stem, end in films.items()}
    assert {name: names[name] for name in files} == files
    # nothing is cut from a name that is no file's
    assert {name: names[name] for name in films if name not in files} == {
        name: name for name in films if name not in files
    }
    assert names.keys() == files.keys() | films.keys()


def test_files_with_an_images_ending_are_films_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("a.PNG", "b.TiFf", "c.txt", "png", ".d.png", "._e.png"):
        (tmp_path / name).touch()
    (tmp_path / "f.png").mkdir()
    assert sorted(path.name for path in tmp_path.iterdir() if is_film(path)) == ["a.PNG", "b.TiFf"]
