"""Short names of time zones, such as EST."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

UTC_NAMES = ("UTC", "GMT", "UT", "Z")
"""Names of the zone without an offset."""

_SHORT_NAMES = {
    "America/New_York": ("EST", "EDT"),
    "America/Chicago": ("CST", "CDT"),
    "America/Denver": ("MST", "MDT"),
    "America/Los_Angeles": ("PST", "PDT"),
    "Asia/Kolkata": ("IST",),
    "Asia/Seoul": ("KST",),
    "Asia/Tokyo": ("JST",),
    "Australia/Sydney": ("AEST", "AEDT"),
    "Europe/Athens": ("EET", "EEST"),
    "Europe/Berlin": ("CET", "CEST"),
    "Europe/Lisbon": ("WET", "WEST"),
    "Europe/London": ("BST",),
    "Europe/Moscow": ("MSK",),
    "Pacific/Auckland": ("NZST", "NZDT"),
}

ZONE_EXAMPLES = {name: zone for zone, names in _SHORT_NAMES.items() for name in names}
"""A zone that uses each short name, for messages; others may use it too."""


@cache
def offsets_by_name(timezone: str) -> dict[str, int]:
    """Returns the offset in seconds of each short name that a zone has used since 1990, and of UTC's names.

    A name that meant several offsets is left out.
    """
    zone, found = ZoneInfo(timezone), defaultdict[str, set[int]](set)
    for year in range(1990, datetime.now(UTC).year + 1):
        for month in range(1, 13):
            moment = datetime(year, month, 15, 12, tzinfo=zone)
            offset = moment.utcoffset()
            if offset is not None:
                found[moment.tzname() or ""].add(round(offset.total_seconds()))
    named = {name: offsets.pop() for name, offsets in found.items() if name.isalpha() and len(offsets) == 1}
    return {**named, **dict.fromkeys(UTC_NAMES, 0)}
