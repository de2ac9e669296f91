"""The wheel holds the package, its data and its licence; the source archive the repository."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path


def differing(kind: str, packed: set[str], sources: set[str]) -> None:
    """Name what is on one side alone, and end."""
    if packed != sources:
        sys.exit(f"the {kind}'s contents differ: {sorted(packed ^ sources)}")
    print(f"{kind}: {len(packed)} files, as in the repository")


wheel, sdist = sys.argv[1:]
names = zipfile.ZipFile(wheel).namelist()
if not any(name.endswith("licenses/LICENSE") for name in names):
    sys.exit("the wheel has no LICENSE")
package = {
    str(path)
    for path in Path("cxr_noise_transforms").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
in_wheel = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
differing("wheel", in_wheel, package)

listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
repository = subprocess.run(listed, capture_output=True, check=True, text=True).stdout.splitlines()
with tarfile.open(sdist) as archive:
    members = [member.name for member in archive if not member.isdir()]
in_sdist = {name.split("/", 1)[1] for name in members} - {"PKG-INFO"}
differing("source archive", in_sdist, set(repository))
