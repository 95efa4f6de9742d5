"""``seasonrec prepare``: prepares a dataset once, for all later runs."""

from __future__ import annotations

from dataclasses import asdict, fields

import numpy as np
from rich.table import Table

from seasonrec.batches.part_facts import PartFacts, part_facts
from seasonrec.batches.splits import local_date
from seasonrec.config.schema import RunConfig
from seasonrec.data.calendar import local_days
from seasonrec.data.occasions import Occurrences
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.evaluation.slices.user_groups import group_notes
from seasonrec.runs.opening import OpenData
from seasonrec.runs.run import Run
from seasonrec.terminal import PlainConsole


def run(config: RunConfig) -> None:
    """Prepares the configured dataset and those of further domains, and prints their sizes."""
    for one in Run.open(config).all:
        print_facts(one.data, one.domain)


def print_facts(data: OpenData, domain: str = "") -> None:
    """Prints the sizes of a log and of its parts, with their dates."""
    spec = data.spec
    print(f"domain {domain}:" if domain else "data:", flush=True)
    for name in ("num_events", "num_baskets", "num_users", "num_items", "num_categories"):
        print(f"  {name}: {getattr(spec, name):,}")
    print(f"  yearly cycles: {spec.cycles:.2f}, before the validation cut: {spec.training_cycles:.2f}")
    for line in group_notes(data.log):
        print(f"  {line}")
    _print_behaviours(data)
    _print_occasions(data)
    facts = part_facts(data.log, data.split)
    print(f"  density: {facts.density:.3%} of users x items")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("", *(field.name.replace("_", " ") for field in fields(PartFacts))):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, part in facts.parts.items():
        values = asdict(part).values()
        table.add_row(name, *(f"{value:,}" if isinstance(value, int) else value for value in values))
    PlainConsole(width=100).print(table)
    _print_horizon(data)


def _print_horizon(data: OpenData) -> None:
    """Prints how the protocol ends the histories, and a note where the split should leave a gap."""
    horizon = data.horizon
    days = f"{horizon.seconds / SECONDS_PER_DAY:g}"
    if horizon.refresh_days:
        ends_s = horizon.known_until_s(np.array([data.split.validation_from_s, data.split.test_from_s]))
        validation, test = (local_date(int(end_s), data.log) for end_s in ends_s)
        print(
            f"  histories are refreshed every {horizon.refresh_days} days, less a horizon of {days} days: the first "
            f"validation requests know the log until {validation}, the first test requests until {test}"
        )
    if horizon.seconds > data.split.gap_s:
        print(
            f"  note: under a horizon of {days} days the last {days} days before a cut are not known at the cut, "
            f"but the part before it reaches further; split.gap_days={days} leaves them out",
            flush=True,
        )


def _print_behaviours(data: OpenData) -> None:
    """Prints the number of events of each behaviour."""
    told, target = data.log.sequences.event_behaviours, data.log.target_behaviour
    if told is not None:
        counts = np.bincount(told, minlength=len(data.log.behaviours))
        listed = ", ".join(f"{name} {count:,}" for name, count in zip(data.log.behaviours, counts, strict=True))
        print(f"  behaviours in the sequences: {listed}; events above and below are those of {target}")


def _print_occasions(data: OpenData) -> None:
    """Prints the names of the user's own calendar with their occurrences within the log."""
    ends = local_days(np.array([data.spec.first_time_s, data.spec.last_time_s]), data.spec.timezone)
    for name in data.spec.occasions:
        found = Occurrences.of(data.log.occasions, name)
        within = int(((found.last >= ends[0]) & (found.first <= ends[1])).sum())
        print(f"  occasion {name}: {len(found.first):,} occurrences, {within:,} of them within the log")
