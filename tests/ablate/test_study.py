from pathlib import Path

import pytest

from seasonrec.ablate.study import StudyError, read_study
from seasonrec.config import ConfTree, conf_dir

GOOD = """
name: small
experiment: autumn
question: Does it know the season?
rows: [full, no_season]
seeds: [0, 1]
"""


def read(tmp_path: Path, text: str):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    for group, options in {"experiment": ("autumn", "spring"), "season": ("text", "momentum")}.items():
        for option in options:
            (tmp_path / "conf" / group).mkdir(parents=True, exist_ok=True)
            (tmp_path / "conf" / group / f"{option}.yaml").write_text("# One.\n")
    return read_study(path, ConfTree((tmp_path / "conf", conf_dir())))


def message(tmp_path: Path, text: str) -> str:
    with pytest.raises(StudyError) as caught:
        read(tmp_path, text)
    return str(caught.value)


def test_a_study_has_defaults_for_what_it_does_not_state(tmp_path):
    study = read(tmp_path, GOOD)
    assert study.rows == ("full", "no_season")
    assert study.seeds == (0, 1)
    assert (study.reference, study.baseline_reference) == ("full", "personal_recent")


def test_the_row_of_other_seeds_comes_last(tmp_path):
    study = read(tmp_path, f"{GOOD}aa: true\n")
    assert study.seeds_of_rows == {"full": (0, 1), "no_season": (0, 1), "aa": (2, 3)}
    assert list(read(tmp_path, GOOD).seeds_of_rows) == ["full", "no_season"]
    taken = GOOD.replace("no_season]", '{aa: ["season=[]"]}]')
    assert "rows[1] = 'aa': aa: true adds a row of this name; rename it" in message(tmp_path, f"{taken}aa: true\n")
    assert read(tmp_path, taken).rows == ("full", "aa")


def test_all_mistakes_are_told_at_once(tmp_path):
    told = message(
        tmp_path,
        "name: small\nexperiment: autum\nquestion: ''\nrows: [full, no_seson]\nseeds: [0, -1]\n"
        "overrides: [seed=3]\nmetrics: [ndgc@10]\nreference: fulll\n",
    )
    assert told.startswith("6 mistakes in the study")
    assert "rows[1] = 'no_seson': no such row: a name must say its change" in told
    assert "experiment = 'autum': no such file in conf/experiment; did you mean 'autumn'?" in told
    assert "seeds[1] = -1: a seed is at least 0" in told
    assert "overrides[0] = 'seed=3': the study sets this key itself" in told
    assert "metrics[0] = 'ndgc@10': no such metric; did you mean 'ndcg@10'?" in told
    assert "reference = 'fulll': is not among the rows; did you mean 'full'?" in told


def test_a_mistake_of_shape_hides_no_mistake_of_another_key(tmp_path):
    told = message(
        tmp_path,
        "name: small\nexperiment: first_season\nquestion: ''\nrows: [full, no_seson]\nseeds: nought\noverides: []\n"
        "metrics: [bit]\n",
    )
    assert [line.split(":")[0].strip() for line in told.splitlines()[1:]] == [
        "overides = []", "seeds = 'nought'", "rows[1] = 'no_seson'", "metrics[0] = 'bit'",
    ]  # fmt: skip
    told = message(tmp_path, GOOD.replace("rows: [full, no_season]", "rows: full") + "robustness: [full]\n")
    assert told.startswith("1 mistake in the study")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD + "sedes: [1]\n", "sedes = [1]: unknown key; did you mean 'seeds'?"),
        (GOOD.replace("question: Does it know the season?\n", ""), "question: missing; every study states it"),
        (GOOD + "robustness: [no_habits]\n", "robustness[0] = 'no_habits': is not among the rows"),
        (
            GOOD + "wrong_dates: [28, 30]\n",
            "wrong_dates[1] = 30: must be whole weeks from 7 to 364 days; whole weeks ke",
        ),
        (GOOD + "wrong_dates: [0]\n", "wrong_dates[0] = 0: must be whole weeks"),
        (GOOD + "wrong_dates: [half]\n", "wrong_dates[0] = 'half': must hold whole numbers"),
        (GOOD + "wrong_dates: 28\n", "wrong_dates = 28: must be a list; write [28]"),
        (GOOD + "origins: [2011-06-01, june]\n", "origins[1] = 'june': must be a day; write YYYY-MM-DD, for example"),
        (GOOD + "origins: [2011-06-01]\n", "origins: must hold two days or more; write split.test_from=2011-06-01 for"),
        (GOOD + "origins: [2011-06-01, 2011-04-01]\n", "origins[1] = '2011-04-01': must lie after 2011-06-01; sort"),
        (GOOD + "origins: [2011-06-01, 2011-06-01]\n", "origins[1] = '2011-06-01': stands twice"),
        (GOOD + "origins: [2011-06-01, 2011-08-01]\nwrong_dates: [28]\n", "wrong_dates: is of one origin, and origins"),
        (
            GOOD + "origins: [2011-06-01, 2011-08-01]\noverrides: [split.test_from=2011-07-01]\n",
            "overrides[0] = 'split.test_from=2011-07-01': the origins set this key; take it out",
        ),
        (GOOD + "figure_rows: [full, nobody]\n", "figure_rows[1] = 'nobody': is neither a row nor a baseline"),
        (
            GOOD + "baseline_reference: personel\n",
            "baseline_reference = 'personel': no such baseline; did you mean 'person",
        ),
        (GOOD.replace("[0, 1]", "[]"), "seeds = []: must not be empty"),
        (GOOD.replace("[0, 1]", "0"), "seeds = 0: must be a list; write [0]"),
        (GOOD.replace("[0, 1]", "[0, one]"), "seeds[1] = 'one': must hold whole numbers"),
        (GOOD.replace("[0, 1]", "[0, true]"), "seeds[1] = true: must hold whole numbers"),
        (GOOD.replace("[0, 1]", "[1, 1]"), "seeds[1] = 1: stands twice"),
        (GOOD + "baselines: maybe\n", "baselines = 'maybe': must be true or false"),
        (GOOD + "note: 3\n", "note = 3: must be a text"),
        (GOOD + "costs: [minuts]\n", "costs[0] = 'minuts': no such column of cost; did you mean 'minutes'?"),
        (GOOD + "name: twice\n", "not readable as yaml"),
        ("- a\n- b\n", "a study is a mapping of keys to values"),
        ("", "a study is a mapping of keys to values"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(tmp_path, text, told):
    assert told in message(tmp_path, text)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"nowhere\.yaml: no such study file"):
        read_study(tmp_path / "nowhere.yaml", ConfTree.of())


STUDIES = sorted(Path(__file__).parents[2].glob("experiments/*/*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_shipped_study_reads(path):
    assert read_study(path, ConfTree.of()).rows
