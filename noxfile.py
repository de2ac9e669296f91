"""What is checked and what is measured, as plain commands: ``nox --list``.

Every session but ``lowest`` runs in the environment that is active, and lists commands that also
run by themselves.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]
os.environ.setdefault("CXR_DATA", "../shared/cxr")

_RESULTS = "benchmarks/results"
_SEGMENT = (
    "python examples/seg_sweep.py --profile paper --size 256 --noise-seeds 3 --device cuda "
    "--encoder-weights none --data $CXR_DATA/landmark"
)
_CLASSIFY = (
    "python examples/cls_sweep.py --profile paper --size 224 --noise-seeds 3 --device cuda "
    "--pretrained none --data $CXR_DATA/tb"
)
_HARDEN = (
    "python examples/harden.py --profile full --size 256 --device cuda --weights none "
    "--data $CXR_DATA/landmark"
)
GPU = {
    "tests": (
        "python -m pytest tests --ignore=tests/study --ignore=tests/test_triton.py -m '' -k cuda"
    ),
    "kernels": "python -m pytest tests/test_proof.py tests/test_triton.py",
    "timings": (
        "python -m pytest benchmarks/test_speed.py -k cuda "
        f"--benchmark-json={_RESULTS}/speed-cuda.json"
    ),
    "exactness": "python -m benchmarks.exactness --device cuda",
    "throughput": (
        "python -m pytest benchmarks/test_training.py -k cuda "
        f"--benchmark-json={_RESULTS}/training-cuda.json"
    ),
    "evaluation": (
        "python -m pytest benchmarks/test_evaluation.py -k cuda "
        f"--benchmark-json={_RESULTS}/evaluation-cuda.json"
    ),
    "study-lungs": f"{_SEGMENT} --organs lungs --out runs/gpu/study-lungs",
    "study-heart": f"{_SEGMENT} --organs heart --out runs/gpu/study-heart",
    "study-lungs-heart": f"{_SEGMENT} --organs lungs-heart --out runs/gpu/study-lungs-heart",
    "study-tb": f"{_CLASSIFY} --pairs 'No Finding / Tuberculosis' --out runs/gpu/study-tb",
    "study-hardened-heart": f"{_HARDEN} --task heart --out runs/gpu/study-hardened-heart",
    "explain-heart": (
        "python examples/explain.py runs/gpu/study-hardened-heart --data $CXR_DATA/landmark "
        "--out runs/gpu/explain-heart"
    ),
    "uncertain-labels": (
        "python examples/chexpert.py --profile paper --pretrained none --device cuda "
        "--out runs/gpu/uncertain-labels"
    ),
    "pages": "python -m benchmarks.make_performance",
}


LOWEST = ("monai", "kornia", "torchvision", "study", "jobs", "tests")
NOT_CORE = ("tests/study", "tests/test_benchmarks.py", "cxr_noise_transforms/study")


@nox.session
def lint(session: nox.Session) -> None:
    """Rules and format."""
    _run(session, "ruff check .", "ruff format --check .")


@nox.session
def types(session: nox.Session) -> None:
    """Types."""
    _run(session, "mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests that take minutes."""
    _run(session, "python -m pytest")


@nox.session
def slow(session: nox.Session) -> None:
    """The tests that take long."""
    _run(session, "python -m pytest -m slow")


@nox.session
def docs(session: nox.Session) -> None:
    """The site in docs/_build/html; a warning or a broken link within it is an error."""
    _run(session, "python -m sphinx -W --keep-going docs docs/_build/html")


@nox.session
def links(session: nox.Session) -> None:
    """The site's links to the outside; needs a network."""
    _run(session, "python -m sphinx -b linkcheck docs docs/_build/links")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Timings, evaluation and exactness on the CPU, and the pages that show them."""
    _run(
        session,
        "python -m pytest benchmarks/test_speed.py -k cpu "
        f"--benchmark-json={_RESULTS}/speed-cpu.json",
        "python -m pytest benchmarks/test_evaluation.py -k cpu "
        f"--benchmark-json={_RESULTS}/evaluation-cpu.json",
        "python -m benchmarks.exactness",
        "python -m benchmarks.million_rows",
        "python -m benchmarks.make_performance",
        "python docs/make_scaling.py",
    )


@nox.session
@nox.parametrize("part", [nox.param(name, id=name) for name in GPU])
def gpu(session: nox.Session, part: str) -> None:
    """What needs a GPU; one part: nox -s "gpu(timings)"."""
    if "$CXR_DATA" in GPU[part] and not Path(os.environ["CXR_DATA"]).is_dir():
        session.skip("no films: set CXR_DATA to their folder")
    _run(session, GPU[part])


@nox.session(venv_backend="virtualenv")
def lowest(session: nox.Session) -> None:
    """The core's tests with the lowest versions that pyproject.toml declares."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    # the site and its recipes need no old versions
    extras = [project["optional-dependencies"][name] for name in LOWEST]
    declared = [need for needs in (project["dependencies"], *extras) for need in needs]
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text("\n".join(need.replace(">=", "==") for need in declared if ">=" in need))
    session.install("-e", ".[tests]", "--constraint", str(constraints))
    # what old versions say of newer ones of others is not our affair
    core = "python -m pytest tests cxr_noise_transforms -W ignore::DeprecationWarning"
    session.run(*core.split(), *(f"--ignore={path}" for path in NOT_CORE), *session.posargs)


def _run(session: nox.Session, *commands: str) -> None:
    # nothing is fetched, and a GPU's kernel does not run in the interpreter
    environment = {"HF_HUB_OFFLINE": "1", "TRITON_INTERPRET": None}
    for command in commands:
        parts = [os.path.expandvars(part) for part in shlex.split(command)]
        session.run(*parts, *session.posargs, env=environment, external=True)
