"""Comparison of seasonrec and its peers on the same work: ``python -m benchmarks.peers.run --data complete_journey``.

Each round starts a new process for each competitor in turn (A B C D, then B C D A, ...), so that other processes slow
all competitors equally. The preparation of the complete log and the training run in different processes, because each
has its own peak memory. Each answer is saved immediately, and a killed run continues from the saved answers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.logs import NAMES, source, write_work
from benchmarks.peers.results import OURS, Record, markdown, merge, quality, ratios, rounds_of, row_of
from benchmarks.peers.score import Truth
from benchmarks.peers.session import ROOT, CompetitorError, Session

PEERS = ("rectools", "replay", "recbole")
HERE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Unit:
    """One process of one competitor in one round.

    Args:
        kind: ``prepare`` (the complete log), ``quality`` (all epochs, with scored lists) or ``speed`` (a few steps).
        competitor: Name of the competitor.
        round: Number from 0; also the seed.
    """

    kind: str
    competitor: str
    round: int


def units(options: argparse.Namespace) -> list[Unit]:
    """Returns all processes of a work in the order of execution, round by round."""
    plan = []
    for number in range(options.rounds):
        turn = number % len(options.competitors)
        order = [*options.competitors[turn:], *options.competitors[:turn]]
        training = "quality" if number < options.quality_rounds else "speed"
        kinds = ("prepare", training) if number < options.prepare_rounds else (training,)
        plan += [Unit(kind, competitor, number) for kind in kinds for competitor in order]
    return plan


def settings_of(unit: Unit, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Returns the settings of a unit's process, without the folders that differ between attempts."""
    events = folder / ("full.csv" if unit.kind == "prepare" else "train.csv")
    common = {"events": str(events), "length": options.length, "threads": options.threads, "seed": unit.round}
    common |= {"batch_size": options.batch_size, "budget_s": dict(options.budget).get(unit.competitor, 0.0)}
    common["popularity_start"] = options.popularity_start
    if unit.kind == "quality":
        return {**common, "epochs": options.epochs}
    if unit.kind == "speed":
        return {**common, "epochs": 1_000, "max_steps": options.speed_steps}  # max_steps ends the training
    return common


def run_unit(unit: Unit, options: argparse.Namespace, folder: Path, state: Path) -> Record:
    """Returns the answers or the error of a unit, from its file if it already ran with the same settings and code."""
    settings = settings_of(unit, options, folder)
    name = f"{unit.kind}-{unit.competitor}-{unit.round}"
    kept = state / f"{name}.json"
    code = code_digest(unit.competitor)
    if kept.exists():
        record: Record = json.loads(kept.read_text("utf-8"))
        same = record["settings"] == settings and record["code"] == code
        if same and not (options.retry and "error" in record):
            return record
    record = {"settings": settings, "code": code, **_answers(unit, settings, options, state / name)}
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1), encoding="utf-8")
    partial.replace(kept)
    return record


def code_digest(competitor: str) -> str:
    """Returns a digest of a competitor's runner; for ours, also of the library and its options."""
    files = [ROOT / "benchmarks/peers/serve.py", ROOT / f"benchmarks/peers/{competitor}_runner.py"]
    if competitor == OURS:
        files += sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "conf").rglob("*.yaml")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _answers(unit: Unit, settings: dict[str, Any], options: argparse.Namespace, base: Path) -> Record:
    envs = Path(options.envs)
    python = Path(sys.executable) if unit.competitor == OURS else envs / unit.competitor / "bin" / "python"
    scratch = tempfile.mkdtemp(dir=base.parent)
    complete = {**settings, "scratch": scratch, "lists": f"{base}.csv"}
    record: Record = {}
    try:
        with Session(unit.competitor, python, complete, Path(f"{base}.log"), options.limit) as session:
            record |= session.ask()
            for command in ("prepare",) if unit.kind == "prepare" else ("prepare", "train", "infer"):
                record |= session.ask(command)
    except CompetitorError as error:
        record["error"] = str(error)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return record


def rows_of(
    answers: dict[Unit, Record], options: argparse.Namespace, work: str, folder: Path, state: Path
) -> list[Record]:
    """Returns one row per competitor, from its successful rounds and with its first error."""
    log = json.loads((folder / "facts.json").read_text("utf-8"))
    rows, lists = [], {}
    for competitor in options.competitors:
        own = {unit: record for unit, record in answers.items() if unit.competitor == competitor}
        prepared = [record for unit, record in own.items() if unit.kind == "prepare"]
        trained = [record for unit, record in own.items() if unit.kind != "prepare"]
        scored = [unit for unit, record in own.items() if unit.kind == "quality" and "error" not in record]
        facts: Record = {"threads": options.threads, "epochs": options.epochs, "batch_size": options.batch_size}
        facts |= {"popularity_start": options.popularity_start, "log": log}
        facts["versions"] = next((record["versions"] for record in own.values() if "versions" in record), {})
        facts["train_steps"] = own[scored[0]]["steps"] if scored else None
        facts["error"] = next((record["error"] for record in own.values() if "error" in record), None)
        rows.append(row_of(work, competitor, rounds_of(prepared, trained), facts))
        lists[competitor] = [state / f"quality-{competitor}-{unit.round}.csv" for unit in scored]
    quality(rows, lists, Truth.read(folder / "truth.csv"))
    for row in rows:
        if row["competitor"] == OURS:
            row["ratios"] = ratios(rows)
    return rows


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Parses the command line; the defaults are those of the committed results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.run", description=__doc__)
    parser.add_argument("--data", default="complete_journey", help=", ".join(NAMES))
    parser.add_argument("--length", type=int, default=50, help="maximum number of events of a sequence")
    parser.add_argument("--rounds", type=int, default=3, help="number of new processes of each competitor")
    parser.add_argument("--quality-rounds", type=int, default=1, help="number of rounds that train all epochs")
    parser.add_argument("--prepare-rounds", type=int, default=3, help="number of rounds that prepare the complete log")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of a quality round")
    parser.add_argument("--speed-steps", type=int, default=20, help="training steps of the other rounds; at least 2")
    parser.add_argument("--batch-size", type=int, default=128, help="sequences per training step")
    add = parser.add_argument
    add("--budget", nargs="*", type=_budget, default=[("recbole", 240.0)], metavar="NAME=SECONDS", help=_BUDGET_HELP)
    parser.add_argument("--limit", type=float, default=900.0, help="maximum number of seconds per answer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--competitors", nargs="+", default=[OURS, *PEERS], choices=[OURS, *PEERS])
    parser.add_argument("--popularity-start", action="store_true", help="let our item biases start at popularity")
    parser.add_argument("--users", type=int, default=0, help="number of first users to keep, for a trial; 0 keeps all")
    parser.add_argument("--retry", action="store_true", help="run failed processes again")
    parser.add_argument("--envs", default=os.environ.get("PEER_ENVS", str(HERE / ".envs")))
    parser.add_argument("--state", default=str(HERE / ".peers"), help="folder of the event files and finished rounds")
    parser.add_argument("--output", default=str(HERE / "results" / "peers.json"))
    return parser.parse_args(given)


_BUDGET_HELP = "time after which a competitor's training stops within an epoch; the others train all epochs"


def _budget(given: str) -> tuple[str, float]:
    name, _, seconds = given.partition("=")
    return name, float(seconds)


def main() -> None:
    """Runs the missing processes of one work, writes its rows and prints all rows."""
    from seasonrec.data.cache import default_cache_dir

    options = arguments()
    work = f"{options.data}, length {options.length}" + (f", {options.users} users" if options.users else "")
    state = Path(options.state).absolute() / work.replace(", ", "-").replace(" ", "_")
    folder = write_work(
        source(options.data, default_cache_dir(), Path(options.envs), Path(options.state)),
        options.length,
        state / "events",
        options.users,
    )
    answers = {}
    for unit in units(options):
        answers[unit] = record = run_unit(unit, options, folder, state)
        summary = record.get("error") or {key: round(record[key], 1) for key in _PRINTED if key in record}
        print(f"{work}: {unit.kind} {unit.round}, {unit.competitor}: {summary}", flush=True)
    merged = merge(Path(options.output), rows_of(answers, options, work, folder, state))
    print(markdown(merged))


_PRINTED = ("events", "prepare_s", "steps", "train_s", "positions_per_s", "infer_s", "peak_mib")

if __name__ == "__main__":
    main()
