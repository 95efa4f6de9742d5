"""Stand-in for ``seasonrec`` in a whole study, which hands out the results of :func:`made_results.write_study`.

It imports nothing heavy, because a study starts it many times. ``--fail ROW`` fails a row, ``--fail ROW:robustness`` or
``ROW:counterfactual`` its trials.
"""

import os
import sys
from pathlib import Path
from shutil import copytree

made = Path(os.environ["MADE_RESULTS"])
fail, subcommand, overrides = sys.argv[2], sys.argv[3], sys.argv[4:]
given = {key: value.strip("'") for key, value in (override.split("=", 1) for override in overrides)}
folder = Path(given.get("checkpoint", ""))
if subcommand == "counterfactual":
    if f"{folder.parent.name}:counterfactual" == fail:
        sys.exit("out of memory")
    assert given["days"] == "[28,182]"
    copytree(made / "counterfactual" / folder.name, folder, dirs_exist_ok=True)
    sys.exit()
if subcommand == "robustness":
    if f"{folder.parent.name}:robustness" == fail:
        sys.exit("the model has no such target")
    identity = f"{folder.parent.name},{folder.name.removeprefix('seed_')},0123456789abcdef"
    lines = ["name,seed,fingerprint,kind,target,size,ndcg@10,bits,requests", f"{identity},clean,,0.0,0.3,8.0,50"]
    lines += [f"{identity},{kind},inputs,0.5,0.2,8.5,50" for kind in ("adversarial", "random")]
    (folder / "robustness.csv").write_text("\n".join([*lines, f"{identity},drop,,0.5,0.1,9.0,50", ""]))
    sys.exit()
row = given.get("name", "full")
if row == fail:
    sys.exit("out of memory")
source = made / row / f"seed_{given['seed']}" if subcommand == "train" else made / "baselines"
copytree(source, Path(given["run_dir"]), dirs_exist_ok=True)
