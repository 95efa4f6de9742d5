"""Prepares a dataset once, for all later runs."""

from __future__ import annotations

from typing import Any

from seasonrec.config import build
from seasonrec.data.events import prepare
from seasonrec.data.splits import spec_of
from seasonrec.pipeline import cache_dir_of


def run(config: dict[str, Any]) -> None:
    """Prepares the configured dataset and prints what was found.

    Args:
        config: The complete configuration.
    """
    log = prepare(build(config["data"])(), cache_dir_of(config))
    split = build(config["split"])().resolve(log)
    spec = spec_of(log, split)
    for name in ("num_events", "num_baskets", "num_users", "num_items", "num_categories"):
        print(f"  {name}: {getattr(spec, name):,}")
    print(f"  yearly cycles: {spec.cycles:.2f}, before the validation cut: {spec.training_cycles:.2f}")
