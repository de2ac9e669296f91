"""The command ``cxr-noise``: finds the verb that is asked for and runs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import NamedTuple

from cxr_noise_transforms import __version__

from .terminal import in_sentences


class Verb(NamedTuple):
    """What the screen of help says of a verb."""

    does: str
    example: str


VERBS = {
    "apply": Verb("write the films of a folder with noise", "FILMS NOISY --sq 4 --seed 0"),
    "check": Verb(
        "check a data folder, and write its split", "DATA --organs lungs --out split.json"
    ),
    "devices": Verb("say what draws the noise on every device, and how fast", ""),
    "estimate": Verb("say what noise the films of a folder carry", "FILMS --out runs/estimate"),
    "replay": Verb("make films with noise again from their record", "NOISY/applied.json"),
    "report": Verb(
        "write the report of long tables", "runs/stress/per_image.parquet --out runs/report"
    ),
    "stress": Verb("measure a model under noise", "model.pt2 --films FILMS --masks lungs=MASKS"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb.

    Returns:
        0, or 1 where something is refused or has to be mended, 2 for a wrong command line, 130
        after an interruption.
    """
    verb, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if verb in ("-h", "--help"):
        print(_help())
        return 0
    if verb == "--version":
        print(f"cxr-noise {__version__}")
        return 0
    if verb not in VERBS:
        near = "".join(f"; did you mean {name}?" for name in get_close_matches(verb, VERBS, n=1))
        print(f"error: verb must be {', '.join(VERBS)}, got {verb}{near}", file=sys.stderr)
        return 2
    with in_sentences():
        status: int = import_module(f".{verb}", __package__).main(rest)
    return status


def _help() -> str:
    lines = [
        "usage: cxr-noise VERB ...",
        "",
        "Physically defined noise for chest radiographs, and what it does to models.",
        "",
    ]
    for name, verb in VERBS.items():
        lines += [
            f"  {name:<9} {verb.does}",
            f"            cxr-noise {name} {verb.example}".rstrip(),
        ]
    return "\n".join([*lines, "", "cxr-noise VERB --help shows a verb's options."])
