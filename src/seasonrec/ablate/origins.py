"""Rolling origins of a study, and the split of each.

Every row has a model of its own at each origin. Its test part runs from the origin to the next one, the last to the end
of the log or to ``split.test_until``. Its validation part is as long as the stretch from the origin before (of the
first origin: as its test part) and ends at the origin, less ``split.gap_days``. Without a gap the test part of an
origin is therefore the validation part of the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from seasonrec.ablate.mistakes import CUT_KEYS
from seasonrec.ablate.study import Study, StudyError, merged
from seasonrec.config.overrides import override_key
from seasonrec.config.schema import RunConfig


def with_cuts(study: Study, overrides: Sequence[str], compose: Callable[[list[str]], RunConfig]) -> Study:
    """Returns the study with the split of each of its origins as Hydra overrides.

    Args:
        study: The study.
        overrides: Overrides for all of its runs.
        compose: Composes the configuration of the full row, whose gap and end of the test the origins keep.

    Raises:
        StudyError: If an override sets a cut, or the study has further domains, which keep their own cuts.
    """
    if not study.origins:
        return study
    if taken := [override for override in overrides if override_key(override) in CUT_KEYS]:
        raise StudyError(f"the origins of the study set the cuts of each run, got {', '.join(taken)}; take it out.")
    config = compose(merged(study.full, overrides)).as_dict()
    if config.get("domain"):
        raise StudyError(
            "a study with origins can have no further domain, because a domain keeps its own cuts and would know the "
            f"time after an origin, got domain={','.join(config['domain'])}; take one of the two out."
        )
    split = config["split"]
    return replace(study, cuts=cuts_of(study.origins, split.get("gap_days", 0.0), split.get("test_until")))


def cuts_of(origins: Sequence[str], gap_days: float, until: str | None) -> dict[str, tuple[str, ...]]:
    """Returns the overrides of the split of each origin, by its day.

    Args:
        origins: Rising days as YYYY-MM-DD, at least two.
        gap_days: Days before each cut that belong to no part.
        until: First day after the last test part; None for the end of the log.
    """
    days = [date.fromisoformat(origin) for origin in origins]
    lengths = [later - earlier for earlier, later in pairwise(days)]
    ends = [*map(str, days[1:]), until or "null"]
    gap = timedelta(days=math.ceil(gap_days))
    return {
        str(day): (
            f"split.validation_from={day - gap - length}",
            f"split.test_from={day}",
            f"split.test_until={end}",
        )
        for day, length, end in zip(days, [lengths[0], *lengths], ends, strict=True)
    }
