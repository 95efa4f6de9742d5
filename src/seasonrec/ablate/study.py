"""Study files: a question, rows and seeds, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from seasonrec.ablate.mistakes import study_mistakes
from seasonrec.config.errors import Mistake, nearest, shown
from seasonrec.config.overrides import override_key
from seasonrec.config.rows import PSEUDO, REFERENCE_ROW, changes_of, named, overrides_of
from seasonrec.config.rules import reads_the_date
from seasonrec.config.schema import RunConfig
from seasonrec.config.tree import ConfTree
from seasonrec.config.yaml_size import check_size
from seasonrec.errors import UserError
from seasonrec.evaluation.groups.columns import is_of_words, list_of_words
from seasonrec.evaluation.slices.holidays import slice_names
from seasonrec.evaluation.slices.user_groups import PREFIX as USER_SLICE
from seasonrec.report.selection import AA_ROW

SLICES = (
    "all", "ordinary", "in_season", "novel", "repeat", "cold_users", "cold_items", "head", "tail", "gap_births",
    *(f"month_{month:02d}" for month in range(1, 13)),
)  # fmt: skip
"""Slices beside the holiday windows."""
SLICE_KEYS, METRIC_KEYS = ("slices", "effect_slices"), ("metrics", "first_metrics")


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
        origins: Days at which every row is trained again and tested until the next, rising; empty for the one split of
            the experiment. The report pools the targets of all origins, see :mod:`seasonrec.ablate.origins`.
        changes: Overrides of each row by name.
        cuts: Overrides of the split of each origin, by its day.
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
    origins: tuple[str, ...] = ()
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cuts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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
    known = {each.name: each for each in fields(Study) if each.name not in ("changes", "cuts")}
    mistakes = study_mistakes(raw, known, tree)
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


def check_table(study: Study, config: Mapping[str, Any]) -> None:
    """Checks that the study's slices and metrics exist under the protocol of its runs.

    Args:
        study: The study.
        config: Configuration of one of its runs, whose protocol all share.

    Raises:
        StudyError: With every slice that does not exist, and the nearest that does, and every metric that the runs will
            not have.
    """
    data, protocol = config["data"], config["protocol"]
    has_country = data.get("country", True) is not None or bool(data.get("calendar"))
    known = [*SLICES, *(slice_names(protocol["holidays"]) if has_country else [])]
    if protocol.get("horizon_days", 0) == 0 and protocol.get("refresh_days", 0) == 0:
        known.remove("gap_births")
    mistakes = [
        Mistake(f"{key}[{place}]", "no such slice", nearest(name, known), shown(name))
        for key in SLICE_KEYS
        for place, name in enumerate(getattr(study, key))
        if name not in known and not name.startswith(USER_SLICE)  # the values of the users' table are not read here
    ]
    has_window = any(mistake.path.partition("[")[0] in SLICE_KEYS for mistake in mistakes)
    mistakes += _metric_mistakes(study, protocol)
    if mistakes:
        why = "\n  data.country and data.calendar are null, so that there are no holiday windows"
        why = why if has_window and not has_country else ""
        raise StudyError("nothing was run:\n" + "\n".join(f"  {mistake}" for mistake in mistakes) + why)


def _metric_mistakes(study: Study, protocol: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yields metrics of lengths of lists, or of lists of words, that the protocol does not have."""
    lengths, words = protocol.get("top_ks"), protocol.get("words") or {}
    for key in METRIC_KEYS:
        for place, name in enumerate(getattr(study, key)):
            length, side = name.split("@")[1:2], name.rpartition("@")[2]
            if lengths and length and length[0].isdigit() and int(length[0]) not in lengths:
                problem = f"protocol.top_ks={list(lengths)} has no {length[0]}"
                yield Mistake(f"{key}[{place}]", problem, "write one of these, or add it to protocol.top_ks", name)
            if is_of_words(side) and list_of_words(side) not in words:
                problem, remedy = f"protocol.words has no list {list_of_words(side)!r}", "add it, or take this out"
                yield Mistake(f"{key}[{place}]", problem, remedy, name)


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
        raw = OmegaConf.to_container(OmegaConf.load(check_size(path)), resolve=False)  # refuses a key that stands twice
    except (YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(f"{path}: not readable as yaml: {error}") from error
    if not isinstance(raw, dict) or not raw:
        raise StudyError(f"{path}: a study is a mapping of keys to values; see experiments/ for one to copy.")
    return {str(key): value for key, value in raw.items()}
