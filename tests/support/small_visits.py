"""A miniature of the Flickr visits: two cities, a few users, and local times."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

PLACES = {"Edinburgh": [None] * 6, "Melbourne": [f"Sight {number}" for number in range(6)]}
KINDS = ("Park", "Museum", "Structure")


def write_visits(path: Path, num_days: int = 560, num_users: int = 12, num_visits: int = 24, seed: int = 0) -> Path:
    """Writes a Parquet file of ``num_users * num_visits`` visits from January 2010 on; a user stays in one city."""
    draw = np.random.default_rng(seed)
    rows = []
    for user in range(num_users):
        city = list(PLACES)[user % 2]
        for days in np.sort(draw.choice(num_days, num_visits, replace=False)):
            place = int(draw.choice(6, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.1]))
            rows.append(
                {
                    "user_id": f"{user:04x}",
                    "city": city,
                    "trip_id": f"{city[:4]}-{days // 7}",
                    "poi_id": f"{city[:4]}-{place}",
                    "poi_name": PLACES[city][place],
                    "poi_category": KINDS[place % 3],
                    "poi_lat": float(place),
                    "poi_lon": 0.0,
                    "arrived": datetime(2010, 1, 4, 12) + timedelta(days=int(days), seconds=int(draw.integers(10_000))),
                    "num_photos": int(draw.integers(1, 9)),
                }
            )
    pl.DataFrame(rows).sort("arrived").write_parquet(path)
    return path
