"""The small shop, some of whose events are views and carts."""

from dataclasses import replace

import numpy as np
from small_shop import Shop

from seasonrec.batches.splits import spec_of
from seasonrec.data.behaviours import with_target
from seasonrec.data.log import EventLog

BEHAVIOURS = ("buy", "cart", "view")


def told(log: EventLog) -> EventLog:
    """Returns a log whose events have behaviours: about six of ten are purchases."""
    draws = np.random.default_rng(4).choice(3, log.num_events, p=(0.6, 0.1, 0.3)).astype(np.uint8)
    return replace(log, event_behaviours=draws, behaviours=BEHAVIOURS)


def with_clicks(shop: Shop) -> Shop:
    """Returns the shop whose purchases are the events of ``buy``."""
    log = with_target(told(shop.log), "buy")
    return replace(shop, log=log, spec=spec_of(log, shop.split))
