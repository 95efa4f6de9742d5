"""The commit in a record is that of the code that ran."""

import subprocess
from pathlib import Path

import pytest

from seasonrec.runs.record import code_commit


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    return subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def file(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "code").mkdir()
    file = tmp_path / "code" / "one.py"
    file.write_text("one = 1\n")
    return file


def commit_all(folder: Path) -> str:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "one")
    return git(folder, "rev-parse", "HEAD").strip()


def test_files_that_change_under_a_run_change_nothing(file: Path) -> None:
    head = commit_all(file.parent)
    assert code_commit(file) == head
    file.write_text("one = 2\n")
    assert code_commit(file) == head
    code_commit.cache_clear()
    assert code_commit(file) == f"{head}+", "a run that begins now"
    assert commit_all(file.parent) != head
    assert code_commit(file) == f"{head}+"


def test_a_repository_that_the_code_was_installed_into_is_not_its_own(file: Path) -> None:
    (file.parents[1] / "mine.txt").write_text("1\n")
    (file.parents[1] / ".gitignore").write_text("code\n")
    commit_all(file.parents[1])
    assert code_commit(file) is None


def test_no_repository_no_commit(tmp_path: Path) -> None:
    assert code_commit(tmp_path / "one.py") is None
