"""The small shop with further columns: behaviours of events, features of items."""

from dataclasses import replace

import numpy as np
import polars as pl
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


def with_prices(shop: Shop) -> Shop:
    """Returns the shop whose items have a price and a brand; some lack one."""
    prices = [None if number % 7 == 0 else 1.5**number for number in range(shop.log.num_items)]
    brands = [None if number % 5 == 0 else f"brand {number % 4}" for number in range(shop.log.num_items)]
    columns = {"feature.price": pl.Series(prices), "feature.brand": pl.Series(brands)}
    log = replace(shop.log, items=shop.log.items.with_columns(**columns))
    return replace(shop, log=log, spec=spec_of(log, shop.split))
