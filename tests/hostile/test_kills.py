"""Kills at random moments: what is started again ends where it would have ended, and nothing is left behind."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest
from killing import Place, Started, kill, moments
from small_disk import enlarge, mounted
from small_log import SMALL, write_log

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")

LOG = ("data=table", "data.events=E.csv", "data.items=I.csv", "cache_dir=cache")
TRAIN = ("train", *LOG, *SMALL, "run_dir=run", "trainer.checkpoint_every_steps=2")
STUDY = """
name: killed
experiment: [data=table, data.events=E.csv, data.items=I.csv, embedding_dim=16, max_seq_len=12, item_encoder=id]
question: Is a killed study the same study?
rows: [full, no_season, {wide: [embedding_dim=32]}]
seeds: [0, 1]
costs: [weights]
overrides: ["season=[momentum]", trainer.max_epochs=6, trainer.patience=6]
"""
ABLATE = ("ablate", "study.yaml", "run_dir=study", "cache_dir=cache", "jobs=2")


def made(root: Path) -> Place:
    place = Place(root)
    write_log(root)
    (root / "study.yaml").write_text(STUDY)
    return place


def ended(started: Started) -> int:
    return started[0]()


def again(place: Place) -> None:
    for name in ("run", "study", "cache"):
        shutil.rmtree(place.root / name, ignore_errors=True)


def test_a_killed_training_ends_as_one_left_alone(tmp_path: Path) -> None:
    place = made(tmp_path / "place")
    assert ended(place.start_forked("prepare", *LOG)) == 0, place.said  # imports the libraries, for the forks
    begun_s = time.monotonic()
    assert ended(place.start_forked(*TRAIN)) == 0, place.said
    lasted_s = time.monotonic() - begun_s
    expected = place.results("run")
    assert "run/model.safetensors" in expected
    again(place)
    ((after_s, random),) = moments(0, 1, lasted_s)
    told = kill(place, place.start_forked(*TRAIN), after_s, "KILL", random)
    assert ended(place.start_forked(*TRAIN)) == 0, (told, place.said)
    assert place.results("run") == expected, told
    assert place.left_behind() == []
    assert "Traceback" not in place.said


class TestOfManyKills:
    """Trials of ``make soak``."""

    @pytest.fixture(scope="class")
    def lasted(self, tmp_path_factory: pytest.TempPathFactory) -> tuple[float, dict[str, str]]:
        """Seconds and results of a study that is left alone."""
        place = made(tmp_path_factory.mktemp("alone") / "place")
        begun_s = time.monotonic()
        assert ended(place.start(*ABLATE)) == 0, place.said
        assert place.left_behind() == []
        return time.monotonic() - begun_s, place.results("study")

    @pytest.mark.soak
    @pytest.mark.parametrize("seed", range(4))
    def test_a_killed_study_has_the_same_tables(
        self, tmp_path: Path, lasted: tuple[float, dict[str, str]], seed: int
    ) -> None:
        """Kills a study of six cells five times; twenty kills in all."""
        place, told = made(tmp_path / "place"), []
        for number, (after_s, random) in enumerate(moments(seed, 5, lasted[0] / 3)):
            how = ("KILL", "all", "one", "TERM", "INT")[(number + seed) % 5]
            told.append(kill(place, place.start(*ABLATE), after_s, how, random))
            if how in ("TERM", "INT", "all"):
                place.wait_for_all()  # a cell outlives its study only after SIGKILL
        while (code := ended(place.start(*ABLATE))) == 1 and len(told) < 8:
            told.append("a cell had failed")
        assert code == 0, (told, place.said)
        place.wait_for_all()
        assert place.results("study") == lasted[1], told
        assert place.left_behind() == []
        assert "Traceback" not in place.said, place.said

    @pytest.mark.soak
    @pytest.mark.parametrize("size", ["400k", "1m", "2m"])
    def test_a_study_on_a_full_disk_goes_on_when_there_is_space(
        self, tmp_path: Path, lasted: tuple[float, dict[str, str]], size: str
    ) -> None:
        place = made(tmp_path / "place")
        with mounted(place.root / "study", f"size={size}") as disk:
            assert ended(place.start(*ABLATE)) == 1
            place.wait_for_all()
            assert "No space left on device" in place.said
            enlarge(disk, "64m")
            assert ended(place.start(*ABLATE)) == 0, place.said
            assert place.results("study") == lasted[1]
            assert place.left_behind() == []
            assert "Traceback" not in place.said, place.said

    @pytest.mark.soak
    def test_two_studies_in_one_folder_take_turns(self, tmp_path: Path, lasted: tuple[float, dict[str, str]]) -> None:
        place = made(tmp_path / "place")
        both = [place.start(*ABLATE), place.start(*ABLATE)]
        assert [ended(one) for one in both] == [0, 0], place.said
        assert "is in use by a study" in place.said
        assert place.results("study") == lasted[1]
        assert place.left_behind() == []

    @pytest.mark.soak
    def test_two_trainings_share_a_cache_that_a_third_was_killed_in(self, tmp_path: Path) -> None:
        place = made(tmp_path / "place")
        names = ("one", "two")
        for after_s, random in moments(0, 6, 8.0):
            shutil.rmtree(place.root / "cache", ignore_errors=True)
            told = kill(place, place.start("prepare", *LOG), after_s, "KILL", random)
            both = [place.start_forked(*TRAIN[:-2], f"run_dir={name}") for name in names]
            assert [ended(one) for one in both] == [0, 0], (told, place.said)
            one, two = (
                {path.removeprefix(name): digest for path, digest in place.results(name).items()} for name in names
            )
            assert one == two
            assert place.left_behind() == [], told
            for name in names:
                shutil.rmtree(place.root / name)

    @pytest.mark.soak
    @pytest.mark.parametrize("how", ["KILL", "TERM", "INT"])
    def test_a_training_killed_many_times_ends_as_one_left_alone(self, tmp_path: Path, how: str) -> None:
        place = made(tmp_path / "place")
        longer = (*(word for word in TRAIN if "max_epochs" not in word), "trainer.max_epochs=6", "trainer.patience=6")
        begun_s = time.monotonic()
        assert ended(place.start_forked(*longer)) == 0, place.said
        lasted_s, expected = time.monotonic() - begun_s, place.results("run")
        again(place)
        told = [
            kill(place, place.start_forked(*longer), after_s, how, random)
            for after_s, random in moments(3, 8, lasted_s / 2)
        ]
        assert ended(place.start_forked(*longer)) == 0, (told, place.said)
        assert place.results("run") == expected, told
        assert place.left_behind() == []
        assert "Traceback" not in place.said, place.said

    @pytest.mark.soak
    def test_a_walk_killed_many_times_ends_as_one_left_alone(self, tmp_path: Path) -> None:
        place = made(tmp_path / "place")
        assert ended(place.start_forked(*TRAIN)) == 0, place.said
        walk = ("adapt", "checkpoint=run", "adaptation=full", "gate_weeks=2", "output=walk")
        begun_s = time.monotonic()
        assert ended(place.start_forked(*walk)) == 0, place.said
        lasted_s, expected = time.monotonic() - begun_s, place.results("walk")
        shutil.rmtree(place.root / "walk")
        told = [
            kill(place, place.start_forked(*walk), after_s, how, random)
            for (after_s, random), how in zip(moments(5, 8, lasted_s), ("KILL", "TERM") * 4, strict=True)
        ]
        assert ended(place.start_forked(*walk)) == 0, (told, place.said)
        assert place.results("walk") == expected, told
        assert place.left_behind() == []
        assert "Traceback" not in place.said, place.said

    @pytest.mark.soak
    @pytest.mark.parametrize("how", ["KILL", "TERM", "INT", "all", "one"])
    def test_two_processes_of_a_run_leave_nothing(self, tmp_path: Path, how: str) -> None:
        place = made(tmp_path / "place")
        two = (
            *(word for word in TRAIN if "max_epochs" not in word and "num_threads" not in word),
            "trainer=ddp_cpu", "trainer.max_epochs=6", "trainer.patience=6", "trainer.num_threads=1",
            "loader.batch_size=40",
        )  # fmt: skip
        begun_s = time.monotonic()
        assert ended(place.start(*two)) == 0, place.said
        lasted_s, expected = time.monotonic() - begun_s, place.results("run")
        again(place)
        told = []
        for after_s, random in moments(4, 2, lasted_s):
            told.append(kill(place, place.start(*two), after_s, how, random))
            place.wait_for_all()
        assert ended(place.start(*two)) == 0, (told, place.said)
        assert place.results("run") == expected, told
        assert place.left_behind() == []
