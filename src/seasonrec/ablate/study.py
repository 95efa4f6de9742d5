"""The study file: one question, its rows and seeds, checked as a whole before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from seasonrec.config.errors import Mistake, nearest, shown
from seasonrec.config.overrides import STUDY_KEYS, override_key
from seasonrec.errors import UserError
from seasonrec.evaluation.baselines.fitting import BASELINES
from seasonrec.evaluation.results.targets import BASKET_AT_K, EVENT_AT_K
from seasonrec.report.costs import COLUMNS

REFERENCE_ROW = "full"
"""The row without an ablation."""


class StudyError(UserError):
    """Everything that is wrong with a study, in one message."""


@dataclass(frozen=True)
class Study:
    """An ablation study: experiment x rows x seeds, and what of it the table shows.

    Args:
        name: Name of the study; the group of its runs in a tracker.
        experiment: Name of a file in ``conf/experiment``.
        question: What the study asks, printed above its table.
        rows: ``full`` and names of files in ``conf/ablation``, in the order of the table.
        seeds: One run a row and seed; each at or above zero.
        overrides: Hydra overrides that all rows share: the budget, never a part of the model.
        reference: Row that every other model row is compared with.
        baseline_reference: Baseline that the reference is compared with.
        metrics: Metrics of the table, per event, for example ``ndcg@10`` and ``bits``.
        slices: Slices of the table, for example ``all`` and ``in_season``.
        effect_slices: Slices on which the figure shows the effect of each section; empty for those of the table.
        figure_rows: Rows of the figure by week; empty for the two references and the first ablation.
        note: What a reader must know of the budget; printed on the table.
        baselines: Whether the baselines are evaluated; they share the table.
        costs: Columns of cost, for example ``minutes`` and ``trained_share``.
        robustness: Rows whose runs are tried with perturbed inputs and changed histories, see
            :mod:`seasonrec.evaluation.robustness.trials`; the report draws the curves.
    """

    name: str
    experiment: str
    question: str
    rows: tuple[str, ...]
    seeds: tuple[int, ...]
    overrides: tuple[str, ...] = ()
    reference: str = REFERENCE_ROW
    baseline_reference: str = "personal_recent"
    metrics: tuple[str, ...] = ("ndcg@10", "bits")
    slices: tuple[str, ...] = ("all", "in_season", "novel")
    effect_slices: tuple[str, ...] = ()
    figure_rows: tuple[str, ...] = ()
    note: str = ""
    baselines: bool = True
    costs: tuple[str, ...] = ("minutes", "weights")
    robustness: tuple[str, ...] = ()


def read_study(path: Path, experiments: Sequence[str], ablations: Sequence[str]) -> Study:
    """Reads and checks a study file.

    Args:
        path: The yaml file.
        experiments: Names that ``experiment`` may take.
        ablations: Names that ``rows`` may take besides ``full``.

    Raises:
        StudyError: With every mistake of the file at once: key, value met and nearest valid name.
    """
    raw = _load(path)
    mistakes = list(_shape_mistakes(raw))
    if not mistakes:
        mistakes = [*_row_mistakes(raw, ablations), *_other_mistakes(raw, experiments)]
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        lines = "\n".join(f"  {mistake}" for mistake in mistakes)
        raise StudyError(f"{count} in the study {path}, nothing was run:\n{lines}")
    return study_of(raw)


def study_of(entries: dict[str, Any]) -> Study:
    """A study from plain values that were checked."""
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
    """Unknown and missing keys, empty values, and values of the wrong type."""
    known = {field.name: field for field in fields(Study)}
    for key in raw:
        if key not in known:
            yield Mistake(key, "unknown key", nearest(key, known), shown(raw[key]))
    for name, field in known.items():
        if name in raw:
            yield from _type_mistakes(field, raw[name])
        elif field.default is MISSING:
            yield Mistake(name, "missing", "every study states it")


def _type_mistakes(field: Field[Any], value: Any) -> Iterator[Mistake]:
    declared = str(field.type)
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
        if not isinstance(entry, wanted) or isinstance(entry, bool):
            yield Mistake(f"{field.name}[{place}]", f"must hold {what}", "correct it", shown(entry))
        elif value.index(entry) != place:
            yield Mistake(f"{field.name}[{place}]", "stands twice", "name it once", shown(entry))


def _row_mistakes(raw: dict[str, Any], ablations: Sequence[str]) -> Iterator[Mistake]:
    for key in ("rows", "seeds", "metrics", "slices"):
        if raw.get(key) == []:
            yield Mistake(key, "must not be empty", "name at least one", "[]")
    for place, row in enumerate(raw["rows"]):
        if row != REFERENCE_ROW and row not in ablations:
            remedy = nearest(row, [REFERENCE_ROW, *ablations])
            yield Mistake(f"rows[{place}]", "no such ablation in conf/ablation", remedy, shown(row))
    for place, seed in enumerate(raw["seeds"]):
        if seed < 0:
            yield Mistake(f"seeds[{place}]", "a seed is at least 0", "count from 0", shown(seed))
    for place, row in enumerate(raw.get("robustness", [])):
        if row not in raw["rows"]:
            yield Mistake(f"robustness[{place}]", "is not among the rows", nearest(row, raw["rows"]), shown(row))
    known = [*raw["rows"], *BASELINES]
    for place, row in enumerate(raw.get("figure_rows", [])):
        if row not in known:
            yield Mistake(f"figure_rows[{place}]", "is neither a row nor a baseline", nearest(row, known), shown(row))
    baseline = raw.get("baseline_reference", Study.baseline_reference)
    if baseline not in BASELINES:
        yield Mistake("baseline_reference", "no such baseline", nearest(baseline, BASELINES), shown(baseline))
    reference = raw.get("reference", Study.reference)
    if raw["rows"] and reference not in raw["rows"]:
        yield Mistake("reference", "is not among the rows", nearest(reference, raw["rows"]), shown(reference))


def _other_mistakes(raw: dict[str, Any], experiments: Sequence[str]) -> Iterator[Mistake]:
    if raw["experiment"] not in experiments:
        remedy = nearest(raw["experiment"], experiments)
        yield Mistake("experiment", "no such file in conf/experiment", remedy, shown(raw["experiment"]))
    for place, override in enumerate(raw.get("overrides", [])):
        if override_key(override) in STUDY_KEYS:
            yield Mistake(f"overrides[{place}]", "the study sets this key itself", "take it out", shown(override))
    for place, metric in enumerate(raw.get("metrics", [])):
        kind, _, length = metric.partition("@")
        if metric not in ("mrr", "bits") and not (kind in (*EVENT_AT_K, *BASKET_AT_K) and length.isdecimal()):
            known = [*(f"{name}@10" for name in (*EVENT_AT_K, *BASKET_AT_K)), "mrr", "bits"]
            yield Mistake(f"metrics[{place}]", "no such metric", nearest(metric, known), shown(metric))
    for place, cost in enumerate(raw.get("costs", [])):
        if cost not in COLUMNS:
            yield Mistake(f"costs[{place}]", "no such column of cost", nearest(cost, COLUMNS), shown(cost))
