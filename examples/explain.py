"""Why does it fail? Scale, signal dependence, frequencies, attention, normalisation: in words.

With the folder of a finished sweep (``seg_sweep.py``, ``cls_sweep.py`` of one pair, ``harden.py``)
its networks are measured, and none is trained. Without arguments one network is trained on an
embedded chest phantom, a few minutes on a CPU in all. A second call resumes.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path

from cxr_noise_transforms.study.command.arguments import count
from cxr_noise_transforms.study.command.options import run
from cxr_noise_transforms.study.command.terminal import say_written
from cxr_noise_transforms.study.evaluation.explaining import Explaining, trainings
from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.report.explained import find_explained
from cxr_noise_transforms.study.report.explaining import answers, write_explaining
from cxr_noise_transforms.study.report.looked import Looked
from cxr_noise_transforms.study.table import long_tables

BUNDLES = Path(__file__).parent / "bundles"
# films whose maps are shown
EXAMPLES = 4


def main() -> None:
    """Measure, print the answers, and say what was written where."""
    chosen = _arguments()
    start = time.monotonic()
    folder = chosen.folder or _phantoms(chosen.out)
    found = [
        one for one in trainings(folder) if one.run.name in (chosen.trainings or [one.run.name])
    ]
    if not found:
        raise ValueError(f"{folder} must hold the trainings {', '.join(chosen.trainings)}")
    loading = {"cache": chosen.cache, "num_workers": chosen.workers}
    seeds = range(chosen.noise_seeds)
    explaining = Explaining(
        found, BUNDLES, chosen.out, chosen.data, chosen.lungs, seeds, loading, chosen.csv
    )
    one = find_explained(explaining.run())
    looked = Looked(*explaining.look(one.failed))
    print(*(f"{lead}: {sentence}" for lead, sentence in answers(one, looked)), sep="\n")
    about = json.loads((chosen.out / "run.json").read_text())
    films = f"films of {chosen.data.name}" if chosen.data else "phantoms"
    written = [
        *long_tables(chosen.out, csv=chosen.csv),
        *write_explaining(
            one,
            looked,
            explaining.examples(one.failed, *looked.worst(EXAMPLES)),
            chosen.out,
            f"{found[0].task}, why it fails: {films}",
            about,
            shlex.join(["python", *sys.argv]),
            phantoms=chosen.data is None,
        ),
    ]
    say_written(written, start)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("folder", type=Path, nargs="?", help="of a finished sweep")
    add("--data", type=Path, metavar="DIR", help="its films; default: phantoms")
    add("--lungs", type=Path, metavar="DIR",
        help="a Landmark dataset with the films of a classifier, for its maps")  # fmt: skip
    add("--trainings", nargs="+", metavar="NAME", help="folders to measure; default: all")
    add("--noise-seeds", type=count, default=1, metavar="N", help="repetitions of the noise")
    add("--cache", metavar="memory|none|DIR", default="memory", help="where films read are kept")
    add("--workers", type=int, default=0, help="loader processes")
    add("--csv", action="store_true", help="write per_image.csv beside per_image.parquet")
    add("--out", type=Path, default=Path("runs") / "explain", help="folder of the results")
    return parser.parse_args()


def _phantoms(out: Path) -> Path:
    """The folder of one network, with both normalisations, trained on lungs of phantoms."""
    films = {"dataset_dir": None, "phantoms": 100, "organs": "lungs", "source": None}
    options = films | {"leave_out": None, "levels": None, "size": 64, "seed": 0}
    options["encoder"] = "resnet18"
    recipe = {"epochs": 8, "swa_start": None, "learning_rate": 1e-3, "batch_size": 8}
    training = recipe | {"encoder_weights": "none"}
    folder = out / "clean-0"
    bundle = BUNDLES / "segmentation"
    sweep = Sweep(bundle, folder, "lungs", "segmentation", ["lungs"], options, training)
    sweep.train(["Unet", "Unet+groupnorm"])
    return folder


if __name__ == "__main__":
    run(main)
