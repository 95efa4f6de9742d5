"""What a result means: the rules of a comparison, and the fingerprint that two comparable numbers share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from seasonrec.batches.splits import Part, Split
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.errors import UserError

METRIC_VERSION = 1
"""Raise it when a metric, a rank, a label or a slice is computed differently: older numbers then stop comparing."""

TARGETS_RULE = "distinct items of the basket"
TIE_RULE = "prepared order is shuffled within a second; equal scores rank in expectation"

Candidates = Literal["seen_before_request", "all"]

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


@dataclass(frozen=True)
class Protocol:
    """Rules of an evaluation that no model option may touch.

    Args:
        part: ``test``, or ``validation`` for choosing between options: the test part is then not looked at. The epoch
            of a model and the weights of the baselines are chosen on the validation part too, so its numbers flatter
            all of them, and the baselines most.
        horizon_days: Days before the request at which the readable history ends; 0 rolls up to the request itself.
        top_ks: List lengths of the metrics, each at least 1.
        candidates: ``seen_before_request`` ranks the items whose first event lies at or before the request time;
            ``all`` ranks the whole catalogue, items of the future included.
        holidays: Holidays of the ``holidays`` package that open a window (a final "Day" or "Sunday" may be left out),
            in order of precedence; one that the country does not keep opens none. See
            :mod:`seasonrec.evaluation.slices.holidays`.
        cold_user_baskets: A user with fewer baskets before the evaluated part is cold.
        cold_item_events: An item with fewer events before the validation cut is cold.
        head_share: The share of the items with training events, the most bought first, that is the head.
        season_ratio: An item is in season in a week where its share of events is above this multiple of its share
            over the whole log.
        season_min_events: Events in that week below which an item is never in season; keeps single purchases out.

    Raises:
        ValueError: If a value is out of its range; all mistakes of the protocol are named at once.
    """

    part: Part = "test"
    horizon_days: float = 0.0
    top_ks: tuple[int, ...] = (1, 5, 10, 20, 50)
    candidates: Candidates = "seen_before_request"
    holidays: tuple[str, ...] = MAJOR_HOLIDAYS
    cold_user_baskets: int = 5
    cold_item_events: int = 5
    head_share: float = 0.2
    season_ratio: float = 2.0
    season_min_events: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "top_ks", tuple(self.top_ks))  # yaml knows lists only
        object.__setattr__(self, "holidays", tuple(self.holidays))
        mistakes = [message for broken, message in self._rules() if broken]
        if mistakes:
            raise UserError("; ".join(mistakes))

    def _rules(self) -> list[tuple[bool, str]]:
        return [
            (
                self.part not in get_args(Part),
                f"protocol.part must be one of {', '.join(get_args(Part))}, got {self.part!r}",
            ),
            (self.horizon_days < 0, f"protocol.horizon_days must be 0 or above, got {self.horizon_days}"),
            (
                not self.top_ks or min(self.top_ks) < 1 or len(set(self.top_ks)) < len(self.top_ks),
                f"protocol.top_ks must be distinct list lengths of at least 1, got {list(self.top_ks)}",
            ),
            (
                self.candidates not in get_args(Candidates),
                f"protocol.candidates must be one of {', '.join(get_args(Candidates))}, got {self.candidates!r}",
            ),
            (not 0 < self.head_share < 1, f"protocol.head_share must lie between 0 and 1, got {self.head_share}"),
            (self.season_ratio <= 1, f"protocol.season_ratio must be above 1, got {self.season_ratio}"),
        ]

    @property
    def horizon_s(self) -> int:
        """The horizon in seconds."""
        return round(self.horizon_days * SECONDS_PER_DAY)

    @property
    def list_length(self) -> int:
        """Items kept of every request's list: the longest of ``top_ks``."""
        return max(self.top_ks)


def fingerprint(protocol: Protocol, log: EventLog, split: Split, dataset_identity: Mapping[str, object]) -> str:
    """A short hash that two numbers share exactly where they may stand in one table.

    It covers the prepared bytes, what made them, the cuts, the part, the tie, candidate, target and slice rules, the
    horizon and the version of the metrics. ``top_ks`` stays out: it chooses which numbers are printed and changes none.
    So does the part where it is the test, as it was before another could be named.

    Args:
        protocol: The rules.
        log: The prepared log, through its digest.
        split: The cuts.
        dataset_identity: :meth:`seasonrec.data.tables.Dataset.identity` of the dataset.

    Returns:
        16 hexadecimal characters.
    """
    silent = ("top_ks", "part") if protocol.part == "test" else ("top_ks",)
    rules = {name: value for name, value in asdict(protocol).items() if name not in silent}
    cuts = (split.train_from_s, split.validation_from_s, split.test_from_s)
    content = {
        "data": log.digest,
        "dataset": dict(dataset_identity),
        "split": [int(cut) for cut in cuts],
        "targets": TARGETS_RULE,
        "ties": TIE_RULE,
        "metric_version": METRIC_VERSION,
        "rules": rules,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
