"""A first process that is killed: the others end by themselves, say so, and leave no files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from seasonrec.disk import PREFIX

PATIENCE_S = 600.0
"""Longest wait on a machine with much else to do."""

CODE = """
import sys
from functools import partial
from failing_work import wait_for_a_kill
from seasonrec.training.distributed.processes import run_everywhere

if __name__ == "__main__":
    run_everywhere(partial(wait_for_a_kill, sys.argv[1]), devices=2, num_nodes=1, on_gpu=False)
"""


def _waited_for(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.1)
    return is_so()


def _is_alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")
def test_the_others_end_with_a_killed_first_process(tmp_path: Path) -> None:
    told, temporary, script = tmp_path / "told", tmp_path / "temporary", tmp_path / "two.py"
    temporary.mkdir()
    script.write_text(CODE)
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with told.open("w") as file:
        first = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stderr=file, env=environment)
        try:
            assert _waited_for((tmp_path / "1").exists), told.read_text()
            assert list(temporary.glob(f"{PREFIX}*/meeting"))
        finally:
            first.send_signal(signal.SIGKILL)
            first.wait()
        other = int((tmp_path / "1").read_text())
        assert _waited_for(lambda: not _is_alive(other))
    assert list(temporary.glob(f"{PREFIX}*")) == []
    text = told.read_text()
    assert text.splitlines()[-1].startswith("process 1 of the run ends, because the first process has ended; start")
    assert "Traceback" not in text
