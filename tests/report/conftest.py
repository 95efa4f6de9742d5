import pytest
from made_results import make_run, make_targets

from seasonrec.report.rows import Row


@pytest.fixture(scope="session")
def targets():
    return make_targets()


@pytest.fixture(scope="session")
def rows(targets) -> list[Row]:
    """Returns a baseline, the full method, an ablation with a large loss in season, and one without a loss."""
    effects = {"full": (0.0, 0.0), "no_season": (0.05, 0.6), "no_text": (0.0, 0.0)}
    models = [
        Row(name, False, tuple(make_run(targets, name, seed, *loss) for seed in (0, 1, 2)))
        for name, loss in effects.items()
    ]
    return [Row("personal_recent", True, (make_run(targets, "personal_recent", 0, 0.4, 0.5),)), *models]
