"""Time and memory of the preparation and of one training step, by the size of the log.

    python -m benchmarks.growth                        # 1M, 10M and 100M events; about 5 GB of disk
    python -m benchmarks.growth --sizes 1e6 1e7 --folder /data/growth

The benchmark writes a synthetic log of each size, unless it exists, and runs ``seasonrec prepare`` in a new process.
``seconds`` is the time of the preparation; ``process_seconds`` includes the start of Python and the imports, such as
torch. ``peak_mib`` is the peak memory of the process as the kernel reports it. It includes the imports and the mapped
pages of the finished files. Another process runs one training step of SASRec, with width 64 and a sampled softmax over
all items of the log.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth_log import GrowthLog

RESULTS = Path(__file__).parent / "results" / "growth.json"
_STEP = (
    "item_encoder=id",
    "temporal=none",
    "season=[]",
    "habit=none",
    "loss=sampled_softmax",
    "embedding_dim=64",
    "max_seq_len=50",
)


def measure(size: int, folder: Path, threads: int) -> dict[str, Any]:
    """Returns one row of the results: the preparation of a log of ``size`` events and a training step on it."""
    log = GrowthLog.of_size(size)
    path = folder / f"log_{size}.parquet"
    if not path.exists():
        _print(f"writing {path}")
        log.write(path)
    cache = folder / f"cache_{size}"
    shutil.rmtree(cache, ignore_errors=True)
    _print(f"preparing {size:,} events")
    prepared = _child("--prepare", path, cache, threads)
    _print(f"one training step on {size:,} events")
    step = _child("--step", path, cache, threads)
    shutil.rmtree(cache, ignore_errors=True)
    return {
        **asdict(log),
        **prepared,
        "source_mb": round(path.stat().st_size / 1e6),
        "train_step_peak_mib": step["peak_mib"],
        "train_step_seconds": step["seconds"],
        "threads": threads,
        **_machine(),
    }


def prepare(path: Path, cache: Path) -> float:
    """Runs the command ``seasonrec prepare`` and returns its seconds without the imports."""
    from seasonrec.commands.prepare import run
    from seasonrec.config.compose import compose

    config = compose([*_data(path), f"cache_dir={cache}"])
    start = time.perf_counter()
    run(config)
    return time.perf_counter() - start


def train_step(path: Path, cache: Path) -> float:
    """Runs one optimiser step on a prepared log and returns its seconds."""
    import torch

    from seasonrec.batches.horizon import ROLLING
    from seasonrec.batches.loader import TrainingLoader
    from seasonrec.batches.user_pools import Period
    from seasonrec.config import build
    from seasonrec.config.compose import compose
    from seasonrec.runs.opening import batch_builder, build_model, open_data

    config = compose([*_data(path), *_STEP, f"cache_dir={cache}"])
    data = open_data(config, progress=lambda line: None)
    model, facts = build_model(config, data)
    builder = batch_builder(model, data, config.max_seq_len)
    loss = build(config.loss)(facts=facts)
    past = Period(data.split.train_from_s, data.split.validation_from_s)
    loader = TrainingLoader(builder, past, build(config.loader)(), ROLLING, 0, loss.sampler)
    optimizer = torch.optim.AdamW(model.parameters())
    start = time.perf_counter()
    loss(model, next(iter(loader))).backward()
    optimizer.step()
    return time.perf_counter() - start


def slope(rows: list[dict[str, Any]]) -> float:
    """Returns the slope of log(seconds) over log(events); it is 1 if the time is linear."""
    events, seconds = (np.log([float(row[key]) for row in rows]) for key in ("events", "seconds"))
    return float(np.polyfit(events, seconds, 1)[0])


def _child(task: str, path: Path, cache: Path, threads: int) -> dict[str, float]:
    """Runs a task in a new process and returns its seconds and the peak memory of the process."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS"), str(threads))
    seconds = path.with_name("seconds.txt")
    command = [sys.executable, "-m", "benchmarks.growth", task, str(path), "--cache", str(cache)]
    command += ["--seconds", str(seconds)]
    start = time.perf_counter()
    child = os.posix_spawn(command[0], command, {**os.environ, **limits})
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed; see above.")
    return {
        "seconds": float(seconds.read_text(encoding="utf-8")),
        "process_seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }


def _data(path: Path) -> list[str]:
    return ["data=table", f"data.events={path}", "data.value_column=value"]


def _machine() -> dict[str, Any]:
    packages = {name: version(name) for name in ("seasonrec", "polars", "numpy", "torch")}
    return {
        "versions": packages,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": sys.version.split()[0],
    }


def _print(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Measures each size and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="+", default=[1e6, 1e7, 1e8], help="numbers of events")
    parser.add_argument("--folder", type=Path, default=Path("runs/growth"), help="folder of the logs and caches")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    for name in ("--prepare", "--step", "--cache", "--seconds"):  # for the processes that this one starts
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for task, log in ((prepare, arguments.prepare), (train_step, arguments.step)):
        if log is not None:
            arguments.seconds.write_text(f"{task(log, arguments.cache):.3f}", encoding="utf-8")
            return
    folder = arguments.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for size in arguments.sizes:
        rows.append(measure(int(size), folder, arguments.threads))
        _print(json.dumps(rows[-1]))
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        _print(f"{row['events']:>12,} events {row['seconds']:>9.1f} s {row['peak_mib']:>7,} MiB")
    if len(rows) > 1:
        _print(f"slope of log time against log events: {slope(rows):.2f} (1 is linear)")


if __name__ == "__main__":
    main()
