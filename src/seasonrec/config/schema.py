"""The top level of every command's configuration. Its defaults live here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict


class Part(TypedDict):
    """A node built from a class: ``_target_`` and the arguments of its signature that yaml sets."""

    _target_: str


@dataclass(frozen=True)
class RunConfig:
    """One run: what ``seasonrec train`` and ``seasonrec prepare`` take. Slots first, then values.

    Args:
        data: Source of the event and item tables.
        split: Time cuts of training, validation and test.
        protocol: Candidates, targets and metrics of the evaluation.
        loader: Batches.
        item_encoder: What an item is to the model.
        backbone: The model that reads the event sequence.
        temporal: How behaviour changes with time.
        season: What the model knows of the request's time of year.
        habit: What this user buys again.
        head: The task.
        loss: How scores are compared with what was chosen.
        optimizer: How weights are updated.
        trainer: Budget and hardware.
        logger: Where metrics go besides the run's folder.
        name: Row of the run in a table, for example ``full`` or ``no_season``.
        run_dir: Folder that receives the results.
        group: Study that the run belongs to, in trackers; null for none.
        seed: Seed of all that is random in training.
        cache_dir: Folder of the prepared data and text embeddings; null for the user's cache folder.
        embedding_dim: Width ``D`` of item and sequence vectors.
        max_seq_len: Events ``T`` of a sequence at most; older ones are cut.
        baselines: Whether the counting baselines are evaluated beside the model.
    """

    data: Part
    split: Part
    protocol: Part
    loader: Part
    item_encoder: Part
    backbone: Part
    temporal: Part
    season: Part
    habit: Part
    head: Part
    loss: Part
    optimizer: Part
    trainer: Part
    logger: Part
    name: str
    run_dir: str
    group: str | None = None
    seed: int = 0
    cache_dir: str | None = None
    embedding_dim: int = 64
    max_seq_len: int = 50
    baselines: bool = True


@dataclass(frozen=True)
class EvaluateConfig:
    """What ``seasonrec evaluate`` takes.

    Args:
        checkpoint: Folder of a finished run.
        output: Folder that receives metrics and results; null for the run's own.
    """

    checkpoint: str
    output: str | None = None


@dataclass(frozen=True)
class RecommendConfig:
    """What ``seasonrec recommend`` takes.

    Args:
        checkpoint: Folder of a finished run.
        users: File with one user id a line, or ``all``.
        date: Day of the request, for example ``2017-12-20``.
        output: CSV file to write: ``user_id,rank,item_id,score``.
        top_k: Items a user.
        events: File with newer events in the form of the run's own data; null for none.
    """

    checkpoint: str
    users: str
    date: str
    output: str
    top_k: int = 10
    events: str | None = None


@dataclass(frozen=True)
class AblateConfig:
    """What ``seasonrec ablate`` takes besides the study; every other override goes to each of its runs.

    Args:
        run_dir: Folder of the study; the same folder again means: go on.
        launcher: ``local`` runs one cell after the other; otherwise the name of a Hydra launcher.
        jobs: Cells at once, for a Hydra launcher.
        stale: What to do with cells that were run with another configuration; ``rerun`` deletes them.
    """

    run_dir: str
    launcher: str = "local"
    jobs: int = 1
    stale: Literal["refuse", "rerun"] = "refuse"


@dataclass(frozen=True)
class ReportConfig:
    """What ``seasonrec report`` takes.

    Args:
        run_dir: Folder of a study.
    """

    run_dir: str


ABLATION_MAY_SET = frozenset(
    {
        "item_encoder",
        "backbone",
        "temporal",
        "season",
        "habit",
        "head",
        "loss",
        "optimizer",
        "name",
        "embedding_dim",
        "max_seq_len",
    }
)
"""What an ablation may touch. Data, split, protocol, batches and budget are the same for every row of a table."""
