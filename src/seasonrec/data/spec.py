"""Facts of the data as one frozen object."""

from __future__ import annotations

from dataclasses import dataclass

from seasonrec.errors import UserError

DAYS_PER_YEAR = 365.2425
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class DataSpec:
    """Facts found in the prepared data.

    Args:
        num_users: Users with at least one event.
        num_items: Items of the catalogue, ``V``.
        num_categories: Distinct item categories; 1 if the items have none.
        num_events: Events after cleaning; an event is a (user, item, time).
        num_baskets: Baskets; a basket is the events of one user at one time.
        first_time_s: Time of the first event, seconds since 1970-01-01 UTC.
        last_time_s: Time of the last event.
        train_until_s: First second that training must not use (the validation cut).
        country: ISO 3166 code of the holidays, or None.
        timezone: IANA zone in which days are counted.
        has_text: Whether the items carry text.
        has_value: Whether the events carry a value.
        occasions: Distinct names of the user's own calendar, in alphabetical order.
        occasions_list_items: Whether an occasion of that calendar lists items or categories.
        features: Names of the items' features.
        behaviours: Names of the behaviours of the events in the sequences, in alphabetical order; empty without them.
    """

    num_users: int
    num_items: int
    num_categories: int
    num_events: int
    num_baskets: int
    first_time_s: int
    last_time_s: int
    train_until_s: int
    country: str | None
    timezone: str
    has_text: bool
    has_value: bool
    occasions: tuple[str, ...] = ()
    occasions_list_items: bool = False
    behaviours: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    @property
    def cycles(self) -> float:
        """Yearly cycles that the whole log covers."""
        return (self.last_time_s - self.first_time_s) / (DAYS_PER_YEAR * SECONDS_PER_DAY)

    @property
    def training_cycles(self) -> float:
        """Yearly cycles before the validation cut."""
        return max(0, self.train_until_s - self.first_time_s) / (DAYS_PER_YEAR * SECONDS_PER_DAY)

    def require_last_year(self, reader: str) -> None:
        """Checks that the log is long enough to hold the same season of last year.

        Raises:
            ValueError: If the training part of the log covers less than one yearly cycle.
        """
        if self.training_cycles < 1.0:
            raise UserError(
                f"{reader} reads the same season of last year, which needs at least 1 yearly cycle before the "
                f"validation cut, got {self.training_cycles:.2f}; choose other seasons, for example "
                "season=[momentum,calendar,text], or use a longer log."
            )
