"""``seasonrec adapt``: a trained model goes on from month to month, each period answered before it is learned."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.table import Table
from yaml import YAMLError

from seasonrec.config import build
from seasonrec.config.difference import differences
from seasonrec.config.schema import AdaptConfig
from seasonrec.config.yaml_size import check_size
from seasonrec.digests import check, seal
from seasonrec.disk import check_folder
from seasonrec.errors import UserError
from seasonrec.evaluation.results.store import ITEMS, write_items
from seasonrec.runs.finished import load_models, open_finished, read_config
from seasonrec.runs.intact import read_record
from seasonrec.runs.record import environment, write_json, write_yaml
from seasonrec.runs.run import Run
from seasonrec.runs.walk.origins import monthly
from seasonrec.runs.walk.rows import WalkRow
from seasonrec.runs.walk.walk import Walk
from seasonrec.terminal import PlainConsole
from seasonrec.training.fit import TrainerOptions

RECORD = "record.json"


def run(options: AdaptConfig) -> None:
    """Walks a finished run from month to month: ``seasonrec adapt checkpoint=DIR until=DAY adaptation=full``."""
    options = replace(options, name=options.name or _option(options.adaptation))
    folder = Path(options.output or Path(options.checkpoint) / "adaptation" / str(options.name))
    check_folder(folder, "output", ("results.parquet", "rows.csv", RECORD))
    checkpoint = _opened(options)
    walk = _walk(options, checkpoint, folder)
    _take(folder, options)
    print(f"{options.name}: {len(walk.origins)} origins, {walk.origins[0].day} to {walk.origins[-1].day}", flush=True)
    rows = walk()
    write_items(folder / ITEMS, checkpoint.data.log.items["item_id"])
    write_json(folder / RECORD, _record(options, walk, rows))
    seal(folder, ["results.parquet", ITEMS, "rows.csv", RECORD])
    _show(rows, str(options.name))
    print(f"results in {folder}", flush=True)


def _option(node: dict[str, Any]) -> str:
    return str(node["_target_"]).split(".")[-2]


def _opened(options: AdaptConfig) -> Run:
    """Opens the checkpoint for training.

    Raises:
        UserError: If it is a model of a walk, has further domains, knows the part that the walk begins with, or has a
            protocol with refreshes.
    """
    folder = Path(options.checkpoint)
    config = read_config(folder, options.allow)
    if "adapted" in (config.stage or {}):
        raise UserError(
            f"checkpoint must be a trained run, got {folder}, a model of a walk; give the run that it began with."
        )
    if config.domain:
        raise UserError(
            f"checkpoint must be a run of one log, got {folder} with domain={list(config.domain)}; train another with "
            "domain=[]."
        )
    found = load_models(open_finished(folder, options.allow, from_cache=True), for_training=True)
    if found.data.spec.train_until_s > found.data.split.since_s(options.part):
        raise UserError(
            f"part={options.part} begins before the end of what {folder} has learned; choose part=test, or a run with "
            "stage=[train]."
        )
    if found.data.horizon.refresh_days:
        raise UserError(
            f"checkpoint must read histories up to each request, or up to some days before it, got {folder} with "
            f"protocol.refresh_days={found.data.horizon.refresh_days}, under which nothing is read between two "
            "refreshes; give a run with protocol=full_ranking."
        )
    return found


def _take(folder: Path, options: AdaptConfig) -> None:
    """Writes the configuration of a walk into its folder, or checks that it is the one of the walk that is there.

    Another last day is allowed: the walk then goes on, or ends earlier.

    Raises:
        UserError: If the folder holds another walk, or one without its configuration.
    """
    path, wanted = folder / "config.yaml", json.loads(json.dumps(options.as_dict()))
    if path.exists() or any(any(folder.glob(one)) for one in ("origins/*.json", "updates/*/*")):
        check(path, "it says how the walk was begun: bring it back from a copy, or choose another output")
        changed = differences(*(_without_place(one) for one in (_stored(path), wanted)))
        if changed:
            raise UserError(
                f"output {folder} holds a walk with another configuration ({'; '.join(changed)}); choose another "
                "output, or delete this one to start again."
            )
    write_yaml(path, wanted)
    seal(folder, [path.name])


def _stored(path: Path) -> Any:
    try:
        return OmegaConf.to_container(OmegaConf.load(check_size(path)))
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not the record of a walk; choose another output.") from error


def _without_place(config: Any) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in ("checkpoint", "output", "until")}


def _walk(options: AdaptConfig, checkpoint: Run, folder: Path) -> Walk:
    data = checkpoint.data
    trainer: TrainerOptions = build(checkpoint.config.trainer)()
    trainer.take_threads()
    record = read_record(checkpoint.folder)
    return Walk(
        checkpoint=checkpoint,
        adaptation=build(options.adaptation)(),
        name=str(options.name),
        folder=folder,
        origins=monthly(data.log, data.split, options.part, options.until, options.gate_weeks),
        trainer=replace(trainer, devices=1, num_nodes=1, strategy="auto"),
        epochs=int(record["best_epoch"]),
        has_gate=options.gate_weeks > 0,
        metric=trainer.monitor,
        allow=options.allow,
    )


def _record(options: AdaptConfig, walk: Walk, rows: list[WalkRow]) -> dict[str, Any]:
    return {
        "name": options.name,
        "walk": True,
        "seed": walk.checkpoint.config.seed,
        "checkpoint": str(Path(options.checkpoint).absolute()),
        "run": walk.checkpoint.config.name,
        "fingerprint": walk.fingerprint,
        "data_digest": walk.checkpoint.data.log.digest,
        "live": rows[-1].model,
        "origins": [row.origin for row in rows],
        **environment(),
        "config": options.as_dict(),
    }


def _show(rows: list[WalkRow], name: str) -> None:
    table = Table(title=f"adaptation={name}")
    for title in ("origin", "update", "learned until", "targets", "ndcg@10", "bits", "year ago", "s"):
        table.add_column(title, justify="left" if title in ("origin", "update") else "right", no_wrap=True)
    for row in rows:
        shown = [_number(row.metrics.get(metric)) for metric in ("ndcg@10", "bits")]
        kept = row.year_ago.get("value")
        ago = "" if kept is None else f"{kept:+.4f}"
        took = f"{sum(row.seconds.values()):.0f}"
        table.add_row(row.origin, row.decision, row.learned_until, f"{row.n:,}", *shown, ago, took)
    PlainConsole(width=110).print(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
