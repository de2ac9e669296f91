"""The wheel holds the package, its data and its licence, and nothing else."""

import sys
import zipfile
from pathlib import Path

names = zipfile.ZipFile(sys.argv[1]).namelist()
sources = {
    str(path)
    for path in Path("cxr_noise_transforms").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
packed = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
if packed != sources:
    sys.exit(f"the wheel's contents differ from the package: {sorted(packed ^ sources)}")
if not any(name.endswith("licenses/LICENSE") for name in names):
    sys.exit("the wheel has no LICENSE")
print(f"{sys.argv[1]}: {len(packed)} files, as in the package")
