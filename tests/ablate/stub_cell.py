"""Stands in for ``seasonrec``: takes the arguments of a cell, and does what its own first arguments say.

``stub_cell.py [--fail ROW:SEED] [--sleep SECONDS] train|baselines|robustness|counterfactual key=value ...``; counts its
calls beside the results, with the seconds between which each ran, and prints what it sees of threads and GPUs.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--fail", default="")
parser.add_argument("--sleep", type=float, default=0.0)
parser.add_argument("--config-dir")
parser.add_argument("subcommand")
parser.add_argument("overrides", nargs="*")
options = parser.parse_args()

began_s = time.time()
given = {key: value.strip("'") for key, value in (override.split("=", 1) for override in options.overrides)}
print(f"threads {os.environ.get('POLARS_MAX_THREADS')}, GPU {os.environ.get('CUDA_VISIBLE_DEVICES')}")
if options.subcommand in ("robustness", "counterfactual"):
    time.sleep(options.sleep)
    if options.subcommand == options.fail:
        sys.exit(4)
    trained = json.loads((Path(given["checkpoint"]) / "metrics.json").read_text())  # fails before the run has ended
    days = "\n".join(["days", "0", *given.get("days", "[]").strip("[]").split(","), ""])
    text = trained["name"] if options.subcommand == "robustness" else days
    (Path(given["checkpoint"]) / f"{options.subcommand}.csv").write_text(text)
    sys.exit()
row, run_dir = given.get("name", "full"), Path(given["run_dir"])
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
    (folder / "span").write_text(f"{began_s} {time.time()}")
    (folder / "metrics.json").write_text(json.dumps({"name": row, "seed": int(given["seed"])}))
