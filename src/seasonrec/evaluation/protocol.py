"""Rules of a comparison, and the fingerprint that comparable numbers share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Annotated, get_args

import numpy as np

from seasonrec.batches.candidates import Candidates
from seasonrec.batches.context.last_year import YEAR_DAYS
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.splits import Part, Split
from seasonrec.data.calendar import clock_digest, local_days
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.errors import UserError
from seasonrec.evaluation.groups.columns import WITH, is_of_words
from seasonrec.ranges import Above, CountOrZero, DaysOrZero, Entries, Fraction, Length, WholeDaysOrZero, ranged

METRIC_VERSION = 2
"""Version of metrics, ranks, tags and slices; raise it when one of them changes, so that older numbers differ."""

TARGETS_RULE = "distinct items of the basket"
TIE_RULE = "prepared order is shuffled within a second; equal scores rank in expectation"

MAJOR_HOLIDAYS = (
    "Thanksgiving",
    "Christmas",
    "Easter",
    "Halloween",
    "Independence Day",
    "Valentine's Day",
    "Memorial Day",
    "Labor Day",
    "Mother's Day",
)


@ranged("protocol")
@dataclass(frozen=True)
class Protocol:
    """Rules of an evaluation, independent of the model.

    Args:
        part: ``test``, or ``validation`` to choose between options without the test part. The epoch of a model and the
            weights of the baselines are chosen on the validation part too, so its numbers are too good for all of them,
            and most for the baselines.
        horizon_days: Days from the end of the readable history to the request, or to its last refresh; 0 reads up to
            it. None ends the history where the request's period ended a year ago, 364 days less ``refresh_days`` before
            it, so that last year's season is the last that is known.
        refresh_days: Days between two refreshes of the readable history, one of which is the test cut; requests between
            two refreshes know the same events. 0 refreshes it at each request (rolling); None refreshes it once for the
            test part (frozen), and as seldom in the other parts. See :class:`~seasonrec.batches.horizon.Horizon`.
        top_ks: List lengths of the metrics, each at least 1.
        candidates: ``known`` ranks the items whose first event lies before the end of the readable history, and so no
            item that first appears within the horizon; ``before_request`` ranks those whose first event lies before
            the request; ``all`` ranks the whole catalogue, including items of the future. The model trains among the
            same candidates. A target that is none counts as a miss in every ranking metric and has no bits.
        holidays: Holidays of the ``holidays`` package with a holiday window, in order of precedence; a final "Day" or
            "Sunday" may be left out. A holiday that the country does not have is ignored. See
            :mod:`seasonrec.evaluation.slices.holidays`.
        cold_user_baskets: A user with fewer baskets before the evaluated part is cold.
        cold_item_events: An item with fewer events before the validation cut is cold.
        head_share: Share of the items with training events that is the head, most bought first.
        season_ratio: An item is in season in a week if its share of the week's events is above this multiple of its
            share over the whole log.
        season_min_events: Smallest number of events in that week of an item in season; excludes single purchases.
        words: Lists of words by name, chosen before the cut: the items whose text has one of them are a side of a
            partition, with bits and share of their own. ``words={christmas: [christmas, xmas]}`` gives
            ``bits_within@with_christmas``. A word stands for all words that begin with it.
        target_behaviour: Behaviour that is recommended, in a log whose events have behaviours, for example ``buy``:
            requests, targets and everything that counts purchases are its events alone; the sequences read all events.

    Raises:
        ValueError: If a value is out of its range; the message names all mistakes of the protocol.
    """

    part: Part = "test"
    horizon_days: DaysOrZero | None = 0.0
    refresh_days: WholeDaysOrZero | None = 0
    top_ks: Annotated[tuple[Length, ...], Entries()] = (1, 5, 10, 20, 50)
    candidates: Candidates = "known"
    holidays: tuple[str, ...] = MAJOR_HOLIDAYS
    cold_user_baskets: CountOrZero = 5
    cold_item_events: CountOrZero = 5
    head_share: Fraction = 0.2
    season_ratio: Annotated[float, Above(1, 1_000_000)] = 2.0
    season_min_events: CountOrZero = 5
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    target_behaviour: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "top_ks", tuple(self.top_ks))  # yaml knows lists only
        object.__setattr__(self, "holidays", tuple(self.holidays))
        object.__setattr__(self, "words", {name: tuple(listed) for name, listed in self.words.items()})
        mistakes = [message for broken, message in self._rules() if broken]
        if mistakes:
            raise UserError("; ".join(mistakes))

    def _rules(self) -> list[tuple[bool, str]]:
        return [
            (
                self.part not in get_args(Part),
                f"protocol.part must be one of {', '.join(get_args(Part))}, got {self.part!r}",
            ),
            (
                self.candidates not in get_args(Candidates),
                f"protocol.candidates must be one of {', '.join(get_args(Candidates))}, got {self.candidates!r}",
            ),
            *(
                (
                    not is_of_words(WITH + name) or not listed or not all(listed),
                    f"protocol.words must be lists of words with names of a-z, 0-9 and _, got {name}: {list(listed)}; "
                    "write {christmas: [christmas, xmas]}",
                )
                for name, listed in self.words.items()
            ),
        ]

    def horizon(self, split: Split, timezone: str) -> Horizon:
        """Returns the end of the history of each request of a log.

        Args:
            split: The cuts; the first day of the test is a day of refresh.
            timezone: Zone of the log.

        Raises:
            UserError: If histories end a year before the test part ends, and the part is longer than that year.
        """
        first, last = local_days(np.array([split.test_from_s, split.end_s - 1]), timezone).tolist()
        refresh_days = last + 1 - first if self.refresh_days is None else self.refresh_days
        days = YEAR_DAYS - refresh_days if self.horizon_days is None else self.horizon_days
        if days < 0:
            raise UserError(
                f"protocol.horizon_days=null ends histories {YEAR_DAYS} days before the end of a period, and a period "
                f"has {refresh_days} days; end the test part earlier by split.test_until, or set refresh_days."
            )
        seconds = round(days * SECONDS_PER_DAY)
        return Horizon(seconds, refresh_days, first, timezone) if refresh_days else Horizon(seconds)

    @property
    def list_length(self) -> int:
        """Number of items kept per request: the largest of ``top_ks``."""
        return max(self.top_ks)


def fingerprint(protocol: Protocol, log: EventLog, split: Split, dataset_identity: Mapping[str, object]) -> str:
    """Returns 16 hexadecimal characters that two results share exactly if they are comparable.

    The hash covers the digest of the log, its source, the cuts, the part, the tie, candidate, target and slice rules,
    the horizon and its refreshes, the versions of the metrics and of the ``holidays`` package, and the clock changes of
    the log's time zone. ``top_ks`` and ``words`` are left out, because they select numbers and change none.

    Args:
        protocol: The rules.
        log: The prepared log.
        split: The cuts.
        dataset_identity: :meth:`seasonrec.data.tables.Dataset.identity` of the dataset.
    """
    rules = {name: value for name, value in asdict(protocol).items() if name not in ("top_ks", "words", "refresh_days")}
    if protocol.target_behaviour is None:  # as it was before there were behaviours
        del rules["target_behaviour"]
    horizon = protocol.horizon(split, log.timezone)
    if horizon.refresh_days:  # rolling protocols keep the fingerprint that they had before there were refreshes
        rules["refresh_days"] = horizon.refresh_days
    if protocol.horizon_days is None:
        rules["horizon_days"] = horizon.seconds / SECONDS_PER_DAY
    last_s = int(np.max(log.basket_times_s))
    until = {"test_until": int(split.end_s)} if split.end_s <= last_s else {}
    cuts = [int(cut_s) for cut_s in (split.train_from_s, split.validation_from_s, split.test_from_s)]
    content = {
        "data": log.digest,
        "dataset": dict(dataset_identity),
        "split": [*cuts, *([int(split.gap_s)] if split.gap_s else [])],  # as it was before there were gaps
        **until,
        "targets": TARGETS_RULE,
        "ties": TIE_RULE,
        "metric_version": METRIC_VERSION,
        "holidays": version("holidays"),
        "clock": clock_digest(log.timezone, last_s),
        "rules": rules,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
