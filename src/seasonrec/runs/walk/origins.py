"""Monthly origins of a walk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from seasonrec.batches.splits import Part, Split, local_date, start_of_day_s
from seasonrec.data.log import EventLog
from seasonrec.errors import UserError


@dataclass(frozen=True)
class Origin:
    """A date on which the model may change, and the period that it then answers.

    Args:
        day: Local day of the origin, ``YYYY-MM-DD``.
        next_day: First day after its period.
        from_s: First second of the period.
        until_s: First second after it.
        gate_from_s: First second of the gate's weeks, which no update learns.
        gap_s: Seconds before the gate and before the origin that belong to no part, as in the run's split.
    """

    day: str
    next_day: str
    from_s: int
    until_s: int
    gate_from_s: int
    gap_s: int = 0

    def split(self, learned_until_s: int) -> Split:
        """Returns the new period as the training part, the gate's weeks as validation, and the period as the test."""
        return Split(learned_until_s, self.gate_from_s, self.from_s, self.until_s, self.gap_s)


def monthly(log: EventLog, split: Split, part: Part, until: str | None, gate_weeks: int) -> tuple[Origin, ...]:
    """Returns the origins of a walk: the cut of the part, then the first day of each month.

    Args:
        log: The prepared log.
        split: The run's cuts.
        part: ``test`` begins at the test cut; ``validation`` at the validation cut, and never reads the test part.
        until: Last local day of the walk, ``YYYY-MM-DD``; None for the last one of the part.
        gate_weeks: Weeks before an origin that are held out of its update.

    Raises:
        UserError: If the last day is no day of the part, or the gate is below 0.
    """
    if gate_weeks < 0:
        raise UserError(f"gate_weeks must be at least 0, got {gate_weeks}; 0 lets every update go live.")
    zone = log.timezone
    first = _day_of(split.since_s(part), zone)
    end_s = split.end_s if part == "test" else split.test_from_s
    last = _day_of(end_s - 1, zone)
    stop = _until(until, first, last, part) + timedelta(days=1)
    days = [first]
    while (following := _next_month(days[-1])) < stop:
        days.append(following)
    gap_s = split.gap_s
    return tuple(
        Origin(
            day.isoformat(),
            after.isoformat(),
            start_of_day_s(day, zone),
            min(start_of_day_s(after, zone), end_s),
            start_of_day_s(day - timedelta(weeks=gate_weeks), zone) - (gap_s if gate_weeks else 0),
            gap_s,
        )
        for day, after in zip(days, [*days[1:], stop], strict=True)
    )


def a_year_earlier(origin: Origin, log: EventLog) -> Origin | None:
    """Returns the same days of the previous year; None where the log does not hold them all."""
    days = (_year_before(date.fromisoformat(text)) for text in (origin.day, origin.next_day))
    from_s, until_s = (start_of_day_s(day, log.timezone) for day in days)
    if from_s < int(log.basket_times_s.min()):
        return None
    return replace(origin, from_s=from_s, until_s=until_s)


def _year_before(day: date) -> date:
    is_leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - 1, day=28 if is_leap_day else day.day)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _day_of(time_s: int, timezone: str) -> date:
    return datetime.fromtimestamp(time_s, ZoneInfo(timezone)).date()


def _until(text: str | None, first: date, last: date, part: Part) -> date:
    remedy = f"the {part} part runs from {first} to {last}"
    try:
        day = last if text is None else date.fromisoformat(str(text))
    except ValueError as error:
        raise UserError(f"until must be a day as YYYY-MM-DD, got {text!r}; {remedy}.") from error
    if not first <= day <= last:
        raise UserError(f"until must be a day of the walk, got {day}; {remedy}.")
    return day


def day_text(time_s: int, log: EventLog) -> str:
    """Returns the local day before which something was learned."""
    return local_date(time_s, log)
