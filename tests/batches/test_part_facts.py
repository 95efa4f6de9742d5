"""Facts of the parts against loops over a small log."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from random_log import DAY_S, START_S, random_log

from seasonrec.batches.part_facts import PARTS, part_facts
from seasonrec.batches.splits import Split
from seasonrec.data import portions


@pytest.mark.parametrize("portion", [50, 1 << 20])
def test_facts_are_those_of_loops(portion: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions.user_portions, "__defaults__", (portion,))
    log = random_log(3)
    bounds = [START_S + days * DAY_S for days in (2, 20, 23)] + [int(log.basket_times_s.max()) + 1]
    facts = part_facts(log, Split(*bounds))
    assert tuple(facts.parts) == PARTS
    users = np.repeat(log.basket_users, np.diff(log.basket_offsets)).tolist()
    events = list(zip(users, log.event_items.tolist(), log.event_times_s.tolist(), strict=True))
    for number, found in enumerate(facts.parts.values()):
        inside = [event for event in events if bounds[number] <= event[2] < bounds[number + 1]]
        before = [event for event in events if event[2] < bounds[number]]
        times = [event[2] for event in inside]
        dates = [
            str(datetime.fromtimestamp(second, ZoneInfo(log.timezone)).date()) for second in (min(times), max(times))
        ]
        assert [found.first_date, found.last_date] == dates
        assert found.events == len(inside)
        assert found.baskets == len({(user, second) for user, _, second in inside})
        assert (found.users, found.items) == tuple(len({event[k] for event in inside}) for k in (0, 1))
        new = tuple(len({event[k] for event in inside} - {event[k] for event in before}) for k in (0, 1))
        assert (found.new_users, found.new_items) == new
    assert part_facts(log, Split(*bounds).training_until_test()).parts["validation"].first_date is None
    pairs = len({(user, item) for user, item, _ in events})
    assert facts.density == pairs / (log.num_users * log.num_items)
