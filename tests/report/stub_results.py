"""Stands in for ``seasonrec`` in a whole study: writes results with known effects; ``--fail ROW`` fails a row."""

import sys
from dataclasses import replace
from pathlib import Path

from made_results import make_run, make_targets, write_run

fail, subcommand, overrides = sys.argv[2], sys.argv[3], sys.argv[4:]
given = {key: value.strip("'") for key, value in (override.split("=", 1) for override in overrides)}
row, seed, run_dir = given.get("ablation", "full"), int(given["seed"]), Path(given["run_dir"])
if row == fail:
    sys.exit("out of memory")
targets = make_targets()
if subcommand == "train":
    run = make_run(targets, row, seed, *((0.05, 0.6) if row == "no_season" else (0.0, 0.0)))
    write_run(run_dir, replace(run, fingerprint=given.get("print", run.fingerprint)), parameters=98_765)
else:
    for name in ("recent_7d", "popularity", "personal_recent"):
        write_run(run_dir / "baselines" / name, make_run(targets, name, 0, 0.4, 0.5))
