"""Everything that needs a GPU in one command: ``python -m benchmarks.gpu``; see docs/gpu.md."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from cxr_noise_transforms.study.files import whole_file

from .engine import RESULTS, ROOT
from .machine import describe_machine, describe_versions, machine_slug
from .parts import INTERRUPTED, Entry, Part, digest, judge, run
from .records import write_json
from .tables import markdown

PAGE = ROOT / "docs" / "gpu.md"
BEGIN, END = "<!-- measured: written by python -m benchmarks.gpu -->", "<!-- end of measured -->"
STUDY = ("study-lungs", "study-heart", "study-lungs-heart", "study-tb")
NAMES = ("tests", "kernels", "timings", "exactness", "throughput", "evaluation", *STUDY)
PACKAGES = ("kornia", "monai", "numpy", "scipy", "segmentation_models_pytorch", "timm", "torch",
            "torchvision", "triton")  # fmt: skip
_PACKAGE = ("cxr_noise_transforms",)
# sweeps, logs and reports of tests
WORK, QUICK = ROOT / "runs" / "gpu", ROOT / "runs" / "gpu-quick"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts that are not finished, and say what became of each."""
    options = _parse(arguments)
    # a shell that starts this in the background has Ctrl-C ignored, and the parts inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    machine = describe_machine(options.device)
    now = {"driver": _driver(options.device), "versions": describe_versions(PACKAGES)}
    print(f"{machine.get('gpu', machine['cpu'])}, driver {now['driver']}")
    print(", ".join(f"{name} {version}" for name, version in now["versions"].items()), flush=True)
    published = options.out is None and not options.quick
    folder = (options.out or (QUICK if options.quick else RESULTS)).resolve()
    work = WORK if published else folder / "work"
    slug = machine_slug(machine)
    path = folder / f"gpu-{slug}.json"
    record = _open_record(path, {"kind": "gpu", "device": options.device, "machine": machine})
    rows: list[list[str]] = []
    ran = []
    for part in list_parts(options, folder, work, slug):
        if part.name not in options.parts:
            continue
        before: Entry = record["parts"].get(part.name, {})
        entry = {**now, "command": [*part.command], "source": digest(part.sources)}
        same = all(before.get(name) == value for name, value in entry.items())
        whole = all(file.is_file() for file in part.files)
        if part.absent:
            rows.append([part.name, "skipped", "", part.absent, ""])
        elif same and whole and before["outcome"] == "passed" and not options.again:
            rows.append([part.name, "finished before", _minutes(before), before["detail"], ""])
        else:
            print(f"\n=== {part.name} ===", flush=True)
            fresh = options.again or bool(before and not same)
            _move_aside(part, before if fresh and not options.again else {})
            entry = _run(part, work, options.minutes, fresh=fresh) | entry
            if same and not fresh and before["outcome"] == "stopped":
                entry["seconds"] = round(entry["seconds"] + before["seconds"], 1)
            record["parts"][part.name] = entry
            write_json(path, record)
            ran.append(entry["detail"])
            written = ", ".join(entry["files"])
            rows.append([part.name, entry["outcome"], _minutes(entry), entry["detail"], written])
            if entry["detail"] == INTERRUPTED:
                break
    if ran and ran[-1] != INTERRUPTED:
        rows += _pages(record, folder, work, published=published)
    print(f"\n{markdown(['part', 'outcome', 'minutes', 'result', 'written'], rows, words=5)}")
    print(f"outcomes in {_shown(path)}, all that was printed in {_shown(work)}")
    if options.quick:
        print("--quick: these numbers mean nothing")
    if any(row[1] in ("failed", "stopped") for row in rows):
        raise SystemExit(1)


def _run(part: Part, work: Path, minutes: float, *, fresh: bool) -> Entry:
    """Run one part; its outcome, seconds, date and files."""
    if fresh and part.folder:
        shutil.rmtree(part.folder, ignore_errors=True)
    if part.junit:
        part.junit.unlink(missing_ok=True)
    ended = run(part, work / f"{part.name}.log", 60 * minutes, fresh=fresh)
    return {
        **judge(part, ended),
        "seconds": round(ended.seconds, 1),
        "date": datetime.now(timezone.utc).date().isoformat(),
        "files": [_shown(file) for file in part.files if file.is_file()],
    }


def _move_aside(part: Part, before: Entry) -> None:
    """Keep what another source or machine has left, hours of training perhaps."""
    if before and part.folder and part.folder.exists():
        aside = part.folder.with_name(f"{part.folder.name}-{before['source']}")
        shutil.rmtree(aside, ignore_errors=True)
        print(f"moved aside: {_shown(part.folder.rename(aside))}")


def list_parts(options: argparse.Namespace, folder: Path, work: Path, slug: str) -> list[Part]:
    """Every part, in the order in which they run."""
    device, quick = options.device, options.quick
    small = ["--quick"] if quick else []

    def tested(name: str, *command: str, **environment: str) -> Part:
        return Part(
            name,
            ["-m", "pytest", *command, "-m", "", "-q", "-p", "no:cacheprovider"],
            [*_PACKAGE, "tests", "pyproject.toml"],
            places=[f"--junitxml={work / name}.xml"],
            junit=work / f"{name}.xml",
            environment=environment,
        )

    def measured(name: str, module: str, *command: str, file: str, **more: Any) -> Part:
        out = folder / f"{file}-{slug}.json"
        return Part(
            name,
            ["-m", f"benchmarks.{module}", *command, *small],
            [*_PACKAGE, "benchmarks"],
            places=["--out", str(folder if name == "exactness" else out)],
            files=[out],
            **more,
        )

    outside = ("study", "test_triton.py", "test_benchmarks.py", "test_gpu_command.py")
    chosen = ["tests", *(f"--ignore=tests/{name}" for name in outside)]
    kernels, interpret = [], {}
    if quick:
        chosen = ["tests/test_electronic.py", "tests/test_cuda.py"]
        kernels = ["-k", "words or extreme or no_pixels"]
    if device == "cpu":
        interpret = {"TRITON_INTERPRET": "1"}
    return [
        tested("tests", *chosen, "-k", device),
        tested("kernels", "tests/test_triton.py", *kernels, **interpret),
        measured("timings", device, file=device, fresh=["--fresh"]),
        measured("exactness", "statistics", "--device", device, file=f"exactness-{device}"),
        measured("throughput", "throughput", "--device", device, file=f"throughput-{device}"),
        measured("evaluation", "evaluation", "--device", device, file=f"evaluation-{device}"),
        *(_sweep(name, options, work) for name in STUDY),
    ]


def _sweep(name: str, options: argparse.Namespace, work: Path) -> Part:
    """One task of the study: with the paper's recipe on real films, or quickly on phantoms."""
    organs = name.removeprefix("study-")
    segments = organs != "tb"
    if options.quick:
        recipe = ["--profile", "quick", "--size", "64", "--epochs", "1", "--swa-start", "1"]
        recipe += ["--phantoms", "24", "--batch-size", "4"]
        recipe += ["--arch", "Unet"] if segments else ["--arch", "resnet34"]
        pair = "Effusion / No Finding"
    else:
        recipe = ["--profile", "paper", "--size", "256" if segments else "224"]
        recipe += ["--noise-seeds", "3"]
        recipe += ["--encoder-weights" if segments else "--pretrained", options.weights]
        pair = "Tuberculosis / No Finding"
    task = ["--organs", organs] if segments else ["--pairs", pair]
    script = "examples/seg_sweep.py" if segments else "examples/cls_sweep.py"
    out = work / name
    places, absent = ["--out", str(out)], ""
    if not options.quick:
        data = Path(os.environ.get("CXR_DATA", ROOT.parent / "shared" / "cxr"))
        data = data.resolve() / ("landmark" if segments else "tb")
        places += ["--data", str(data)]
        absent = "" if data.is_dir() else f"no films in {data}: set CXR_DATA to their folder"
    return Part(
        name,
        [script, *task, *recipe, "--device", options.device],
        [*_PACKAGE, "examples"],
        places,
        files=[out / "per_image.csv"],
        folder=out,
        absent=absent,
    )


def build_page(records: Sequence[dict[str, Any]]) -> str:
    """What has been measured on which GPU, and what still waits, as Markdown."""
    sections = []
    for record in records:
        machine, done = record["machine"], record["parts"]
        head = f"### {machine['gpu']}, {machine['gpu_memory_gib']} GiB"
        body = [
            [name, entry["outcome"], entry["detail"], _minutes(entry), entry["date"]]
            for name in NAMES
            if (entry := done.get(name))
        ]
        waits = [name for name in NAMES if done.get(name, {}).get("outcome") != "passed"]
        table = markdown(["part", "outcome", "result", "minutes", "date"], body, words=3)
        named = {f"driver {entry['driver']}, torch {entry['versions']['torch']}": None
                 for entry in done.values()}  # fmt: skip
        sections += [head, f"{'; '.join(named)}.", table]
        sections.append(f"Still waits: {', '.join(waits)}." if waits else "Nothing waits.")
    return "\n\n".join(sections) or "Nothing has been measured on a GPU yet: every part waits."


def write_page(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Put the table of all records of GPUs into the page, between its two marks."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(results.glob("gpu-*.json"))]
    records = [record for record in found if record["device"] == "cuda"]
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    with whole_file(page) as beside:
        beside.write_text(
            f"{before}{BEGIN}\n\n{build_page(records)}\n\n{END}{rest.split(END)[1]}",
            encoding="utf-8",
        )


def _pages(record: Entry, folder: Path, work: Path, *, published: bool) -> list[list[str]]:
    """Rebuild the pages that show results; those of the repository from its own results alone."""
    places = [] if published else ["--results", str(folder), "--out", str(folder / "page.md")]
    pages = [Part("pages", ["-m", "benchmarks.make_performance"], (), places)]
    finished = [name for name in STUDY if record["parts"].get(name, {}).get("outcome") == "passed"]
    if published:
        write_page()
        sweeps = [
            str(p.parent) for name in finished for p in sorted((work / name).rglob("run.json"))
        ]
        if sweeps:
            pages.append(Part("pages", ["docs/make_study.py"], (), sweeps))
        pages.append(Part("pages", ["docs/make_scaling.py"], ()))
    rows = []
    for part in pages:
        ended = run(part, work / f"{Path(part.command[-1]).stem}.log", 600)
        outcome = judge(part, ended)
        rows.append(["pages", outcome["outcome"], _minutes({"seconds": ended.seconds}),
                     outcome["detail"], ended.last.removeprefix("wrote ")])  # fmt: skip
    return rows


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description="Everything that needs a GPU, part by part; see docs/gpu.md.",
    )
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help=f"{', '.join(NAMES)}, or study; default: all")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="cpu tests the command itself")
    add("--quick", action="store_true", help="small sizes: does it run at all?")
    add("--again", action="store_true", help="run finished parts too, from their beginning")
    add("--minutes", type=float, default=10.0, metavar="N", help="stop a part after; default: 10")
    add("--weights", default="none", metavar="imagenet|none", help="of the study's networks")
    add("--out", type=Path, metavar="FOLDER", help="of the results; default: benchmarks/results")
    options = parser.parse_args(arguments)
    asked = [n for name in options.parts for n in (STUDY if name == "study" else (name,))]
    if unknown := [name for name in asked if name not in NAMES]:
        sys.exit(f"unknown part {unknown[0]!r}: the parts are {', '.join(NAMES)}, study")
    options.parts = asked or list(NAMES)
    if options.device == "cpu" and not options.quick:
        sys.exit("--device cpu needs --quick: on a CPU this command can only test itself")
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit(
            f"no CUDA device: torch {torch.__version__} finds none; "
            "--device cpu --quick tests the command itself"
        )
    return options


def _open_record(path: Path, header: Entry) -> Entry:
    if path.is_file():
        record: Entry = json.loads(path.read_text(encoding="utf-8"))
        if record["machine"] == header["machine"]:
            return record
    return {**header, "parts": {}}


def _driver(device: str) -> str:
    asks = shutil.which("nvidia-smi")
    if device == "cpu" or not asks:
        return "none" if device == "cpu" else "unknown"
    command = [asks, "--query-gpu=driver_version", "--format=csv,noheader"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return (said.stdout.splitlines() or ["unknown"])[0].strip()


def _minutes(entry: Entry) -> str:
    return f"{entry['seconds'] / 60:.1f}"


def _shown(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


if __name__ == "__main__":
    main()
