"""Study files: a question, rows and seeds, checked before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from seasonrec.config.errors import Mistake, nearest, shown
from seasonrec.config.overrides import STUDY_KEYS, override_key
from seasonrec.config.rows import PSEUDO, REFERENCE_ROW, changes_of, named, overrides_of, row_mistakes
from seasonrec.config.rules import reads_the_date
from seasonrec.config.schema import RunConfig
from seasonrec.config.tree import ConfTree
from seasonrec.errors import UserError
from seasonrec.evaluation.baselines.fitting import BASELINES, UNTRAINED_ROWS
from seasonrec.evaluation.counterfactual.dates import DAYS_REMEDY, DAYS_RULE, refused_days
from seasonrec.evaluation.results.targets import METRIC_NAMES, is_metric
from seasonrec.evaluation.slices.holidays import slice_names
from seasonrec.evaluation.slices.user_groups import PREFIX as USER_SLICE
from seasonrec.report.costs import COLUMNS
from seasonrec.report.selection import AA_ROW

SLICES = (
    "all", "ordinary", "in_season", "novel", "repeat", "cold_users", "cold_items", "head", "tail",
    *(f"month_{month:02d}" for month in range(1, 13)),
)  # fmt: skip
"""Slices beside the holiday windows."""


class StudyError(UserError):
    """All mistakes in a study, in one message."""


@dataclass(frozen=True)
class Study:
    """An ablation study: experiment x rows x seeds, with the contents of its table and figures.

    Args:
        name: Name of the study; the group of its runs in a tracker.
        experiment: Name of a file in ``conf/experiment``, or a list of overrides; it defines the full row.
        question: Question of the study, printed above its table.
        rows: Names of the rows in the order of the table. In the file each is a name that says its change, or
            ``name: [overrides]``, see :mod:`seasonrec.config.rows`.
        seeds: Seeds of every row, each at or above zero.
        overrides: Hydra overrides that all rows share: the budget, never a component of the model.
        reference: Row that every other model row is compared with.
        baseline_reference: Baseline that the reference is compared with.
        metrics: Metrics of every slice of the table, for example ``ndcg@10`` and ``bits``; see
            :data:`~seasonrec.evaluation.results.targets.METRIC_NAMES`.
        first_metrics: Further metrics of the first slice, for example ``bits_within@hot``.
        slices: Slices of the table, for example ``all`` and ``christmas``. Slices by outcome, such as ``in_season``, go
            to the appendix of the report.
        effect_slices: Slices in the figure of the sections' effects; empty for those of the table.
        figure_rows: Rows of the figure by week; empty for the two references and the first ablation.
        note: A remark on the budget, printed on the table.
        baselines: Whether the baselines are evaluated and shown in the table.
        costs: Columns of cost, for example ``minutes`` and ``trained_share``.
        robustness: Rows whose runs are tried with perturbed inputs and changed histories, see
            :mod:`seasonrec.evaluation.robustness.trials`; the report draws the curves.
        wrong_dates: Days by which wrong dates are too early, in whole weeks. The reference's runs are ranked again with
            them, see :mod:`seasonrec.evaluation.counterfactual.dates`; the report says what the right date is worth.
        aa: Whether a row ``aa`` is added: the reference with other seeds, as many as ``seeds``. It differs from the
            reference by chance alone, so it must carry no mark.
        changes: Overrides of each row by name.
    """

    name: str
    experiment: str | tuple[str, ...]
    question: str
    rows: tuple[str, ...]
    seeds: tuple[int, ...]
    overrides: tuple[str, ...] = ()
    reference: str = REFERENCE_ROW
    baseline_reference: str = "personal_recent"
    metrics: tuple[str, ...] = ("ndcg@10", "bits")
    first_metrics: tuple[str, ...] = ("basket_recall@10", "basket_ndcg@10")
    slices: tuple[str, ...] = ("all",)
    effect_slices: tuple[str, ...] = ()
    figure_rows: tuple[str, ...] = ()
    note: str = ""
    baselines: bool = True
    costs: tuple[str, ...] = ("minutes", "weights")
    robustness: tuple[str, ...] = ()
    wrong_dates: tuple[int, ...] = ()
    aa: bool = False
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def seeds_of_rows(self) -> dict[str, tuple[int, ...]]:
        """Seeds of every row of the table, in its order; ``aa`` has seeds that no other row uses."""
        own = dict.fromkeys(self.rows, self.seeds)
        first = max(self.seeds) + 1
        return own | ({AA_ROW: tuple(range(first, first + len(self.seeds)))} if self.aa else {})

    @property
    def full(self) -> list[str]:
        """Overrides of the full row, including those of the study."""
        experiment = [f"experiment={self.experiment}"] if isinstance(self.experiment, str) else self.experiment
        return [*experiment, *self.overrides]


def read_study(path: Path, tree: ConfTree) -> Study:
    """Reads and checks a study file.

    Args:
        path: The yaml file.
        tree: Groups and options that rows may name.

    Raises:
        StudyError: With every mistake in the file.
    """
    raw = _load(path)
    mistakes = list(_shape_mistakes(raw))
    wrong = {re.split(r"[\[.]", mistake.path)[0] for mistake in mistakes}
    sound = {key: value for key, value in raw.items() if key not in wrong}  # the others have been reported
    mistakes += [*_row_mistakes(sound, tree), *_other_mistakes(sound, tree.options("experiment"))]
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        lines = "\n".join(f"  {mistake}" for mistake in mistakes)
        raise StudyError(f"{count} in the study {path}, nothing was run:\n{lines}")
    told = [named(row) for row in raw["rows"]]
    changes = {name: tuple(changes_of(name, tree) or () if own is None else own) for name, own in told}
    return study_of(raw | {"rows": list(changes), "changes": changes})


def with_changes(study: Study, overrides: Sequence[str], compose: Callable[[list[str]], RunConfig]) -> Study:
    """Returns the study with the changes of its rows as Hydra overrides.

    Args:
        study: The study.
        overrides: Overrides for all of its runs.
        compose: Composes the configuration of the full row, on which ``without=[season.text]`` depends.

    Raises:
        StudyError: If a row removes an entry that the full row does not have.
    """
    if not any(override_key(change) in PSEUDO for row in study.changes.values() for change in row):
        return study
    full = compose(merged(study.full, overrides)).as_dict()
    try:
        return replace(study, changes={row: tuple(overrides_of(own, full)) for row, own in study.changes.items()})
    except ValueError as error:
        raise StudyError(str(error)) from error


def check_slices(study: Study, config: Mapping[str, Any]) -> None:
    """Checks that the study's slices exist under the protocol of its runs.

    Args:
        study: The study.
        config: Configuration of one of its runs, whose protocol all share.

    Raises:
        StudyError: With every slice that does not exist, and the nearest that does.
    """
    data = config["data"]
    has_country = data.get("country", True) is not None or bool(data.get("calendar"))
    known = [*SLICES, *(slice_names(config["protocol"]["holidays"]) if has_country else [])]
    mistakes = [
        Mistake(f"{key}[{place}]", "no such slice", nearest(name, known), shown(name))
        for key in ("slices", "effect_slices")
        for place, name in enumerate(getattr(study, key))
        if name not in known and not name.startswith(USER_SLICE)  # the values of the users' table are not read here
    ]
    if mistakes:
        why = "" if has_country else "\n  data.country and data.calendar are null, so that there are no holiday windows"
        raise StudyError("nothing was run:\n" + "\n".join(f"  {mistake}" for mistake in mistakes) + why)


def check_wrong_dates(study: Study, config: Mapping[str, Any]) -> None:
    """Checks that the reference of a study with wrong dates reads the date.

    Args:
        study: The study.
        config: Configuration of the reference.

    Raises:
        StudyError: If it does not.
    """
    if study.wrong_dates and not reads_the_date(config):
        problem = f"the reference {study.reference} has season=[] and demand=none and reads no date"
        given = Mistake("wrong_dates", problem, "take it out")
        raise StudyError(f"nothing was run:\n  {given}")


def merged(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Returns two lists of overrides as one; where both set a key, the second wins."""
    return list({override_key(override): override for override in (*first, *second)}.values())


def study_of(entries: dict[str, Any]) -> Study:
    """Returns a study from checked plain values."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entries.items()}
    return Study(**values)


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise StudyError(f"{path}: no such study file; give the path of a study.yaml.")
    try:
        raw = OmegaConf.to_container(OmegaConf.load(path), resolve=False)  # refuses a key that stands twice
    except (YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not readable as yaml: {error}") from error
    if not isinstance(raw, dict) or not raw:
        raise StudyError(f"{path}: a study is a mapping of keys to values; see experiments/ for one to copy.")
    return {str(key): value for key, value in raw.items()}


def _shape_mistakes(raw: dict[str, Any]) -> Iterator[Mistake]:
    known = {each.name: each for each in fields(Study) if each.name != "changes"}
    for key in raw:
        if key not in known:
            yield Mistake(key, "unknown key", nearest(key, known), shown(raw[key]))
    for name, declared in known.items():
        if name in raw:
            yield from _type_mistakes(declared, raw[name])
        elif declared.default is MISSING:
            yield Mistake(name, "missing", "every study states it")


def _type_mistakes(field: Field[Any], value: Any) -> Iterator[Mistake]:
    declared = str(field.type)
    if field.name == "experiment" and not isinstance(value, list):
        declared = "str"
    if declared in ("bool", "str"):
        kind, what = (bool, "true or false") if declared == "bool" else (str, "a text")
        if not isinstance(value, kind):
            yield Mistake(field.name, f"must be {what}", "correct it", shown(value))
        return
    if not isinstance(value, list):
        yield Mistake(field.name, "must be a list", f"write [{value}]", shown(value))
        return
    wanted, what = (int, "whole numbers") if "int" in declared else (str, "texts")
    for place, entry in enumerate(value):
        if field.name == "rows" and isinstance(entry, dict):
            continue
        if not isinstance(entry, wanted) or isinstance(entry, bool):
            yield Mistake(f"{field.name}[{place}]", f"must hold {what}", "correct it", shown(entry))
        elif value.index(entry) != place:
            yield Mistake(f"{field.name}[{place}]", "stands twice", "name it once", shown(entry))


def _row_mistakes(raw: dict[str, Any], tree: ConfTree) -> Iterator[Mistake]:
    for key in ("rows", "seeds", "metrics", "slices"):
        if raw.get(key) == []:
            yield Mistake(key, "must not be empty", "name at least one", "[]")
    rows = raw.get("rows", [])
    found = [mistake for place, row in enumerate(rows) for mistake in row_mistakes(row, f"rows[{place}]", tree)]
    yield from found
    names = [str(row) if found else named(row)[0] for row in rows]
    for place, name in enumerate(names):
        if names.index(name) != place:
            yield Mistake(f"rows[{place}]", "stands twice", "name it once", shown(name))
    for place, seed in enumerate(raw.get("seeds", [])):
        if seed < 0:
            yield Mistake(f"seeds[{place}]", "a seed is at least 0", "count from 0", shown(seed))
    for place, row in enumerate(raw.get("robustness", [])):
        if names and row not in names:
            yield Mistake(f"robustness[{place}]", "is not among the rows", nearest(row, names), shown(row))
    for place, days in enumerate(raw.get("wrong_dates", [])):
        if refused_days([days]):
            yield Mistake(f"wrong_dates[{place}]", DAYS_RULE, DAYS_REMEDY, shown(days))
    if raw.get("aa") and AA_ROW in names:
        yield Mistake(f"rows[{names.index(AA_ROW)}]", "aa: true adds a row of this name", "rename it", shown(AA_ROW))
    known = [*names, *UNTRAINED_ROWS]
    for place, row in enumerate(raw.get("figure_rows", [])):
        if names and row not in known:
            yield Mistake(f"figure_rows[{place}]", "is neither a row nor a baseline", nearest(row, known), shown(row))
    baseline = raw.get("baseline_reference", Study.baseline_reference)
    if baseline not in BASELINES:
        yield Mistake("baseline_reference", "no such baseline", nearest(baseline, BASELINES), shown(baseline))
    reference = raw.get("reference", Study.reference)
    if names and reference not in names:
        yield Mistake("reference", "is not among the rows", nearest(reference, names), shown(reference))


def _other_mistakes(raw: dict[str, Any], experiments: Sequence[str]) -> Iterator[Mistake]:
    experiment = raw.get("experiment", [])
    if isinstance(experiment, str) and experiment not in experiments:
        yield Mistake(
            "experiment", "no such file in conf/experiment", nearest(experiment, experiments), shown(experiment)
        )
    for place, override in enumerate(raw.get("overrides", [])):
        if override_key(override) in STUDY_KEYS:
            yield Mistake(f"overrides[{place}]", "the study sets this key itself", "take it out", shown(override))
    for key in ("metrics", "first_metrics"):
        for place, metric in enumerate(raw.get(key, [])):
            if not is_metric(metric):
                yield Mistake(f"{key}[{place}]", "no such metric", nearest(metric, METRIC_NAMES), shown(metric))
    for place, cost in enumerate(raw.get("costs", [])):
        if cost not in COLUMNS:
            yield Mistake(f"costs[{place}]", "no such column of cost", nearest(cost, COLUMNS), shown(cost))
