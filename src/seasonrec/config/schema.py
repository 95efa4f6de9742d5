"""The top level of every command's configuration. Its defaults live here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal


class Component(dict[str, Any]):
    """A node built from a class: ``_target_`` and the arguments of its signature that yaml sets.

    The class serves annotations alone; the nodes themselves are plain dictionaries, which yaml can hold.
    """


class Config:
    """A command's configuration, complete and checked."""

    def as_dict(self) -> dict[str, Any]:
        """Returns the top level as a plain dictionary; nested nodes are plain already."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]  # a dataclass


@dataclass(frozen=True)
class RunConfig(Config):
    """One run: what ``seasonrec train`` and ``seasonrec prepare`` take. Slots first, then values.

    Args:
        data: Source of the event and item tables.
        split: Time cuts of training, validation and test.
        protocol: Candidates, targets and metrics of the evaluation.
        loader: Batches.
        item_encoder: What an item is to the model.
        backbone: The model that reads the event sequence.
        temporal: How behaviour changes with time.
        season: Effects of the request's date by name, added in order: ``season=[momentum,calendar]``; ``season=[]`` for
            none.
        habit: What this user buys again.
        head: The main task: which item comes next.
        peft: Which weights of a language model are trained, and how.
        task: Further tasks by name, chosen as a list: ``task=[purchase,demand]``; ``task=[]`` for none.
        domain: Further logs that train together with the main one, by name, chosen as a list: ``domain=[flickr]``;
            ``domain=[]`` for none.
        sharing: How the tasks share what the sequence says.
        objective: Weights of the recommendation tasks and of the time-series task.
        balancing: How the recommendation tasks are weighed against each other.
        adversarial: Training on perturbed inputs.
        augmentation: How the sequences of training batches are varied.
        text_augmentation: How the items' texts are varied in training.
        loss: How scores are compared with what was chosen.
        optimizer: How weights are updated.
        stage: Steps of the run by name, in order, chosen as a list: ``stage=[train,refit]``.
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

    data: Component
    split: Component
    protocol: Component
    loader: Component
    item_encoder: Component
    backbone: Component
    temporal: Component
    habit: Component
    head: Component
    peft: Component
    sharing: Component
    objective: Component
    balancing: Component
    adversarial: Component
    augmentation: Component
    text_augmentation: Component
    loss: Component
    optimizer: Component
    trainer: Component
    logger: Component
    name: str
    run_dir: str
    season: dict[str, Component] | None = None
    task: dict[str, Component] | None = None
    domain: dict[str, Component] | None = None
    stage: dict[str, Component] | None = None
    group: str | None = None
    seed: int = 0
    cache_dir: str | None = None
    embedding_dim: int = 64
    max_seq_len: int = 50
    baselines: bool = True


@dataclass(frozen=True)
class EvaluateConfig(Config):
    """Arguments of ``seasonrec evaluate``.

    Args:
        checkpoint: Folder of a finished run.
        output: Folder that receives metrics and results; null for the run's own.
        allow: Modules outside seasonrec whose components the stored configuration may name.
    """

    checkpoint: str
    output: str | None = None
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecommendConfig(Config):
    """Arguments of ``seasonrec recommend``.

    Args:
        checkpoint: Folder of a finished run.
        users: File with one user id a line, or ``all``.
        date: Day of the request, for example ``2017-12-20``.
        output: CSV file to write: ``user_id,rank,item_id,score``.
        top_k: Items a user.
        events: File with newer events in the form of the run's own data; null for none.
        allow: Modules outside seasonrec whose components the stored configuration may name.
    """

    checkpoint: str
    users: str
    date: str
    output: str
    top_k: int = 10
    events: str | None = None
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class RobustnessConfig(Config):
    """Arguments of ``seasonrec robustness``.

    Args:
        checkpoint: Folder of a finished run.
        output: Folder that receives the table and its figure; null for the run's own.
        target: What is perturbed: the item vectors, the inputs of the backbone, or the text vectors.
        sizes: Sizes of a perturbation, as shares of a vector's mean norm.
        shares: Shares of a history's events that are swapped, dropped or shuffled.
        max_requests: Test baskets that are looked at, evenly spread.
        beside: Folders of other runs whose tables join the figure.
        allow: Modules outside seasonrec whose components the stored configuration may name.
    """

    checkpoint: str
    output: str | None = None
    target: Literal["items", "inputs", "text"] = "inputs"
    sizes: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0)
    shares: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0)
    max_requests: int = 2000
    beside: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class AblateConfig(Config):
    """Arguments of ``seasonrec ablate`` beside the study; every other override is passed to each of its runs.

    Args:
        run_dir: Folder of the study; the same folder again means: go on.
        launcher: ``local`` runs a command for each cell; otherwise the name of a Hydra launcher.
        jobs: Cells at once. With ``local`` they share out the cores, and the GPUs where there are several.
        stale: What to do with cells that were run with another configuration; ``rerun`` deletes them.
    """

    run_dir: str
    launcher: str = "local"
    jobs: int = 1
    stale: Literal["refuse", "rerun"] = "refuse"


@dataclass(frozen=True)
class ReportConfig(Config):
    """Arguments of ``seasonrec report``.

    Args:
        run_dir: Folder of a study.
        reference: Row that all others are compared with, in place of the study's own; the report then goes to
            ``run_dir/beside_REFERENCE``.
    """

    run_dir: str
    reference: str | None = None


SLOTS_WITH_LATER_DEFAULTS = (
    "peft",
    "task",
    "domain",
    "sharing",
    "objective",
    "balancing",
    "adversarial",
    "augmentation",
    "text_augmentation",
    "stage",
)
"""Slots that the records of older runs lack: their defaults change nothing, so a run without them is one with these.
All are sections of the method, which ablations switch."""

ABLATION_MAY_SET = frozenset(SLOTS_WITH_LATER_DEFAULTS) | {
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
"""Keys that an ablation may change. Data, split, protocol, batches and budget are the same for every row of a table; a
further domain adds to what is trained on, and leaves all of these as they are."""
