"""Which installed package a module, a class or a function is of."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

# their versions are written beside every result, and not compared
_UNVERSIONED = {*sys.stdlib_module_names, "cxr_noise_transforms", "monai", "numpy", "torch"}


@cache
def package_of(module: str) -> str | None:
    """The installed package of a module, with its version; ``None`` for one's own code.

    Example:
        >>> package_of("json.decoder"), package_of("__main__")
        ('json', None)
    """
    top = module.partition(".")[0]
    if top in _UNVERSIONED:
        return top
    # a script, or a notebook, whoever runs it
    if top == "__main__":
        return None
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or not {"site-packages", "dist-packages"} & set(Path(file).parts):
        return None
    return " ".join([top, *(version(name) for name in _distributions().get(top, ()))])


def place_in_package(thing: object) -> tuple[str, str, str] | None:
    """Package, module and name under which an installed package holds a thing, if one does.

    Example:
        >>> place_in_package(len)
        ('builtins', 'builtins', 'len')
    """
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    package = package_of(module)
    if package is None:
        return None
    found: object = sys.modules.get(module)
    for step in name.split("."):
        found = getattr(found, step, None)
    return (package, module, name) if found is thing else None


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()
