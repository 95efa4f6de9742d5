"""Interface of a stage, and the running of a list of stages."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lightning.pytorch.loggers import Logger

from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.config import build
from seasonrec.config.schema import RunConfig
from seasonrec.digests import fault, is_expected, read_json, seal
from seasonrec.errors import UserError
from seasonrec.memory import highest, peak_memory
from seasonrec.runs.opening import OpenData
from seasonrec.runs.record import StageClock, write_json
from seasonrec.runs.run import Run
from seasonrec.training.checkpointing.checkpoints import load_best
from seasonrec.training.distributed.processes import wait_for_all
from seasonrec.training.fit import FitResult, TrainerOptions
from seasonrec.training.module import MAIN, domain_prefix


@dataclass(frozen=True)
class Place:
    """The environment of a stage.

    Args:
        folder: Folder of the stage, for its checkpoints and its record.
        trainer: Budget and hardware.
        before: Results of earlier stages by name, without their time and memory: a stage that returns one of them
            would count both again.
        logger: Tracker of curves, or None.
        shard: Share of this process.
    """

    folder: Path
    trainer: TrainerOptions
    before: dict[str, FitResult]
    logger: Logger | None = None
    shard: Shard = WHOLE


class Stage(Protocol):
    """A step of a run that leaves weights in ``run.model`` and a record.

    ``after`` names the stage that must come before it, or is empty. ``known`` returns the data that the stage's model
    knows, for opening a finished run. ``__call__`` does the work; ``restore`` loads the weights of a finished stage.
    """

    @property
    def after(self) -> str: ...

    def known(self, data: OpenData) -> OpenData: ...

    def __call__(self, run: Run, place: Place) -> FitResult: ...

    def restore(self, run: Run, place: Place, record: dict[str, Any]) -> None: ...


def stages_of(config: RunConfig) -> dict[str, Stage]:
    """Returns the stages of a run by name, in order.

    Raises:
        UserError: If there is none, or a stage comes before the stage that it needs.
    """
    stages: dict[str, Stage] = {name: build(node)() for name, node in (config.stage or {}).items()}
    if not stages:
        raise UserError("stage must name at least one stage, got []; write stage=[train].")
    for place, (name, stage) in enumerate(stages.items()):
        if stage.after and stage.after not in list(stages)[:place]:
            raise UserError(f"stage={list(stages)}: {name} comes after {stage.after}; write [{stage.after},{name}].")
    return stages


def run_stages(run: Run, trainer: TrainerOptions, clock: StageClock, logger: Logger | None, shard: Shard) -> FitResult:
    """Runs the stages that are not finished, restores the others, and returns the result of the last one."""
    before: dict[str, FitResult] = {}
    result = None
    for name, stage in stages_of(run.config).items():
        place = Place(run.folder / "stages" / name, trainer, dict(before), logger, shard)
        path = place.folder / "record.json"
        start = time.perf_counter()
        with clock(name):
            record = finished_record(path)
            if record is not None:
                stage.restore(run, place, record)
                result = FitResult(**record)
            else:
                result = stage(run, place)
        clock.add(name, result.earlier_s)
        if record is None:
            seconds = time.perf_counter() - start + result.earlier_s
            peaks = highest(peak_memory(), result.earlier_peaks)
            record = asdict(result) | {"earlier_s": seconds, "earlier_peaks": peaks}
            wait_for_all(shard)  # until every process has looked for the record
            if shard.is_first:
                write_json(path, record)
                seal(path.parent, [path.name])
        before[name] = replace(result, earlier_s=0.0, earlier_peaks={})
    assert result is not None
    return result


def finished_record(path: Path) -> dict[str, Any] | None:
    """Returns the record of a finished stage, or None.

    A damaged record, or one not sealed before a kill, is told; the stage then ends again from its last checkpoint.
    """
    if not is_expected(path):
        return None
    if found := fault(path):
        print(f"note: {path} {found.text}; the stage ends again from its last checkpoint", flush=True)
        return None
    return read_json(path, f"delete {path.parent} to train again from the beginning")


def load_stage(run: Run, place: Place, best_epoch: int) -> None:
    """Loads the weights of a stage's best epoch into the models of a run."""
    models = {domain_prefix(one.domain) if one.domain else MAIN: one.model for one in run.all}
    load_best(place.folder / "checkpoints", best_epoch, models)
