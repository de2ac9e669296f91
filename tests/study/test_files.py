"""A file is whole or as it was; one process has a folder at a time, for as long as it lives."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cxr_noise_transforms.study.files import alone_in, whole_file

HOLD = """
import sys, time
from pathlib import Path
from cxr_noise_transforms.study.files import alone_in
with alone_in(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_free_again_after_the_block_and_after_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with pytest.raises(KeyboardInterrupt), alone_in(folder):
        raise KeyboardInterrupt
    with alone_in(folder), pytest.raises(BlockingIOError) as refused, alone_in(folder):
        pytest.fail("two are in there")
    assert str(refused.value) == f"another process is at work in {folder}"
    with alone_in(folder):
        pass


def test_another_thread_is_kept_out_too(tmp_path: Path) -> None:
    found: list[Exception] = []

    def enter() -> None:
        try:
            with alone_in(tmp_path):
                pass
        except BlockingIOError as error:
            found.append(error)

    with alone_in(tmp_path):
        other = threading.Thread(target=enter)
        other.start()
        other.join()
    assert len(found) == 1


def test_a_killed_process_frees_its_folder(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        with pytest.raises(BlockingIOError), alone_in(tmp_path):
            pytest.fail("two are in there")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with alone_in(tmp_path):
        pass


def test_no_module_of_one_system_alone_is_imported() -> None:
    code = "import sys; sys.modules['fcntl'] = None; import cxr_noise_transforms.study.files"
    hidden = "import filelock; " + code
    subprocess.run([sys.executable, "-c", hidden], check=True)


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def fail_halfway() -> None:
        with whole_file(path) as beside:
            beside.write_text("half")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
