"""Stands in for ``seasonrec``: takes the arguments of a cell, and does what its own first arguments say.

``stub_cell.py [--fail ROW:SEED] [--sleep SECONDS] train|baselines key=value ...``; counts its calls beside the results.
"""

import argparse
import json
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--fail", default="")
parser.add_argument("--sleep", type=float, default=0.0)
parser.add_argument("subcommand")
parser.add_argument("overrides", nargs="*")
options = parser.parse_args()

given = {key: value.strip("'") for key, value in (override.split("=", 1) for override in options.overrides)}
row, run_dir = given.get("ablation", "full"), Path(given["run_dir"])
print(f"epoch 1 of {row}\repoch 2 of {row}")
if f"{row}:{given['seed']}" == options.fail:
    print("\x1b[31mthe loss is not finite\x1b[0m", file=sys.stderr)
    sys.exit(3)
time.sleep(options.sleep)
folders = (
    [run_dir]
    if options.subcommand == "train"
    else [run_dir / "baselines" / name for name in ("popularity", "personal")]
)
for folder in folders:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "calls").open("a") as calls:
        calls.write("x")
    (folder / "metrics.json").write_text(json.dumps({"name": row, "seed": int(given["seed"])}))
