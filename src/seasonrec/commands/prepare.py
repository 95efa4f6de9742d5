"""Prepares a dataset once, for all later runs."""

from __future__ import annotations

from typing import Any

from seasonrec.batches.splits import spec_of
from seasonrec.config import build
from seasonrec.data.events import prepare
from seasonrec.runs.domains import domain_configs
from seasonrec.runs.opening import cache_dir_of


def run(config: dict[str, Any]) -> None:
    """Prepares the configured dataset, and those of further domains, and prints what was found.

    Args:
        config: The complete configuration.
    """
    _prepare(config)
    for name, own in domain_configs(config).items():
        print(f"domain {name}")
        _prepare(own)


def _prepare(config: dict[str, Any]) -> None:
    log = prepare(build(config["data"])(), cache_dir_of(config))
    split = build(config["split"])().resolve(log)
    spec = spec_of(log, split)
    for name in ("num_events", "num_baskets", "num_users", "num_items", "num_categories"):
        print(f"  {name}: {getattr(spec, name):,}")
    print(f"  yearly cycles: {spec.cycles:.2f}, before the validation cut: {spec.training_cycles:.2f}")
