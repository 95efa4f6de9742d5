"""Mistakes in the entries of a study file, found before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field
from datetime import date
from itertools import pairwise
from typing import Any

from seasonrec.config.errors import Mistake, nearest, shown
from seasonrec.config.overrides import STUDY_KEYS, override_key
from seasonrec.config.rows import named, row_mistakes
from seasonrec.config.tree import ConfTree
from seasonrec.evaluation.baselines.fitting import BASELINES, UNTRAINED_ROWS
from seasonrec.evaluation.counterfactual.dates import DAYS_REMEDY, DAYS_RULE, refused_days
from seasonrec.evaluation.results.targets import METRIC_NAMES, is_metric
from seasonrec.report.costs import COLUMNS
from seasonrec.report.selection import AA_ROW

Keys = Mapping[str, Field[Any]]
"""Fields of a study that a file may state, by name."""

CUT_KEYS = ("split.test_from", "split.validation_from")
"""Keys that origins set."""


def study_mistakes(raw: dict[str, Any], known: Keys, tree: ConfTree) -> list[Mistake]:
    """Returns every mistake in the entries of a study file.

    Args:
        raw: Entries by key.
        known: Fields of a study that a file may state, by name.
        tree: Groups and options that rows may name.
    """
    mistakes = list(_shape_mistakes(raw, known))
    wrong = {re.split(r"[\[.]", mistake.path)[0] for mistake in mistakes}
    sound = {key: value for key, value in raw.items() if key not in wrong}  # the others have been reported
    mistakes += [*_row_mistakes(sound, known, tree), *_other_mistakes(sound, tree.options("experiment"))]
    return [*mistakes, *_origin_mistakes(sound)]


def _shape_mistakes(raw: dict[str, Any], known: Keys) -> Iterator[Mistake]:
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


def _row_mistakes(raw: dict[str, Any], known: Keys, tree: ConfTree) -> Iterator[Mistake]:
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
    drawn = [*names, *UNTRAINED_ROWS]
    for place, row in enumerate(raw.get("figure_rows", [])):
        if names and row not in drawn:
            yield Mistake(f"figure_rows[{place}]", "is neither a row nor a baseline", nearest(row, drawn), shown(row))
    stated = {name: one.default for name, one in known.items()} | raw
    baseline, reference = str(stated["baseline_reference"]), str(stated["reference"])
    if baseline not in BASELINES:
        yield Mistake("baseline_reference", "no such baseline", nearest(baseline, BASELINES), shown(baseline))
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


def _origin_mistakes(raw: dict[str, Any]) -> Iterator[Mistake]:
    """Yields the mistakes of rolling origins: days that rise, and keys that speak of one origin alone."""
    origins = raw.get("origins", [])
    if not origins:
        return
    for place, day in enumerate(origins):
        if not _is_day(day):
            yield Mistake(f"origins[{place}]", "must be a day", "write YYYY-MM-DD, for example 2011-10-01", shown(day))
    if len(origins) == 1:
        yield Mistake("origins", "must hold two days or more", f"write split.test_from={origins[0]} for one")
    for place, (first, second) in enumerate(pairwise(origins), start=1):
        if first > second:  # days as YYYY-MM-DD are in the order of their text
            yield Mistake(f"origins[{place}]", f"must lie after {first}", "sort the days", shown(second))
    for key in ("robustness", "wrong_dates"):
        if raw.get(key):
            yield Mistake(key, "is of one origin, and origins has several", "take one of the two out")
    for place, override in enumerate(raw.get("overrides", [])):
        if override_key(override) in CUT_KEYS:
            yield Mistake(f"overrides[{place}]", "the origins set this key", "take it out", shown(override))


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
