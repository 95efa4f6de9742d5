"""Stand-in for ``seasonrec`` in a whole study, which writes results with known effects.

``--fail ROW`` fails a row, ``--fail ROW:robustness`` or ``ROW:counterfactual`` its trials.
"""

import sys
from dataclasses import replace
from pathlib import Path

from made_results import make_run, make_targets, write_run
from made_wrong_dates import write_wrong_dates

fail, subcommand, overrides = sys.argv[2], sys.argv[3], sys.argv[4:]
given = {key: value.strip("'") for key, value in (override.split("=", 1) for override in overrides)}
folder = Path(given.get("checkpoint", ""))
if subcommand == "counterfactual":
    if f"{folder.parent.name}:counterfactual" == fail:
        sys.exit("out of memory")
    days = tuple(map(int, given["days"].strip("[]").split(",")))
    write_wrong_dates(folder, int(folder.name.removeprefix("seed_")), days)
    sys.exit()
if subcommand == "robustness":
    if f"{folder.parent.name}:robustness" == fail:
        sys.exit("the model has no such target")
    identity = f"{folder.parent.name},{folder.name.removeprefix('seed_')},0123456789abcdef"
    lines = ["name,seed,fingerprint,kind,target,size,ndcg@10,bits,requests", f"{identity},clean,,0.0,0.3,8.0,50"]
    lines += [f"{identity},{kind},inputs,0.5,0.2,8.5,50" for kind in ("adversarial", "random")]
    (folder / "robustness.csv").write_text("\n".join([*lines, f"{identity},drop,,0.5,0.1,9.0,50", ""]))
    sys.exit()
row, seed, run_dir = given.get("name", "full").strip("'"), int(given["seed"]), Path(given["run_dir"])
if row == fail:
    sys.exit("out of memory")
targets = make_targets()
if subcommand == "train":
    run = make_run(targets, row, seed, *((0.05, 0.6) if row == "no_season" else (0.0, 0.0)))
    write_run(run_dir, replace(run, fingerprint=given.get("print", run.fingerprint)), parameters=98_765)
else:
    for name in ("recent_7d", "popularity", "personal_recent"):
        write_run(run_dir / "baselines" / name, make_run(targets, name, 0, 0.4, 0.5))
