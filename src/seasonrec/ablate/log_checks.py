"""Checks of a study against its log, before the first cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seasonrec.ablate.study import METRIC_KEYS, Study, StudyError
from seasonrec.config import build
from seasonrec.config.annotations import is_component
from seasonrec.config.errors import Mistake
from seasonrec.evaluation.groups.columns import LAST_YEAR, NAMED_SIDES
from seasonrec.evaluation.groups.partitions import reaches_last_year
from seasonrec.runs.opening import check_log, prepared_log


def check_origins(configs: Mapping[str, dict[str, Any]], say: Callable[[str], None]) -> None:
    """Checks that the log has events in every part of every origin.

    Args:
        configs: Configuration of a run of each origin, by its day.
        say: Called with lines on the preparation of the log.

    Raises:
        StudyError: With every origin that lies outside the log or has a part without events.
    """
    first = next(iter(configs.values()))
    if not is_component(first["data"]):
        return
    log, mistakes = prepared_log(first["data"], first.get("cache_dir"), say), []
    for origin, config in configs.items():
        try:
            check_log(log, build(config["split"])().resolve(log), build(config["protocol"])())
        except ValueError as error:
            mistakes.append(f"  origin {origin}: {error}")
    if mistakes:
        raise StudyError("nothing was run:\n" + "\n".join(mistakes))


def check_last_year(study: Study, config: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Checks that the log reaches back a year before the test part, where a metric asks what was known last year.

    Args:
        study: The study.
        config: Configuration of one of its runs; all have the same log.
        say: Called with lines on the preparation of the log.

    Raises:
        StudyError: With every metric that the log cannot have.
    """
    sides = (LAST_YEAR, *NAMED_SIDES[LAST_YEAR])
    asked = [
        (f"{key}[{place}]", name)
        for key in METRIC_KEYS
        for place, name in enumerate(getattr(study, key))
        if name.rpartition("@")[2] in sides
    ]
    if not asked or not is_component(config["data"]):
        return
    log = prepared_log(config["data"], config.get("cache_dir"), say)
    if not reaches_last_year(log, build(config["split"])().resolve(log), "test"):
        problem = "needs a log that begins a year before the test part"
        mistakes = [Mistake(path, problem, "take it out", name) for path, name in asked]
        raise StudyError("nothing was run:\n" + "\n".join(f"  {mistake}" for mistake in mistakes))
