"""The top level of every command's configuration, with its defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from seasonrec.ranges import AtLeast, Count, Entries, Length, PartOfAll, Positive, Processes, Seed, Width


class Component(dict[str, Any]):
    """A node that stands for a class: ``_target_`` and arguments of its signature.

    This class is used in annotations only; the nodes themselves are plain dictionaries.
    """


@dataclass(frozen=True)
class Config:
    """A command's configuration, complete and checked."""

    def as_dict(self) -> dict[str, Any]:
        """Returns the configuration as a plain dictionary."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class RunConfig(Config):
    """Configuration of one run, for ``seasonrec train``, ``prepare`` and ``baselines``: slots first, then values.

    Args:
        data: Source of the event and item tables.
        split: Time cuts of training, validation and test.
        protocol: Candidates, targets and metrics of the evaluation.
        loader: Batches.
        item_encoder: Vectors of the items.
        behaviour: What the user did with the item (view, cart, buy), added to the events of the sequence.
        backbone: The model that reads the event sequence.
        temporal: Change of behaviour with time.
        season: Effects of the request's date by name, added in order: ``season=[momentum,calendar]``; ``season=[]`` for
            none.
        demand: What all users together will buy on the day of the request, read by habit and mixture.
        habit: Items that this user buys again.
        mixture: The model's probabilities mixed with counted ones, fitted on the validation part.
        head: The main task: which item comes next.
        peft: Parameter-efficient tuning of a language model.
        task: Further tasks by name, chosen as a list: ``task=[purchase,demand]``; ``task=[]`` for none.
        domain: Further logs that train together with the main one, by name, chosen as a list: ``domain=[flickr]``;
            ``domain=[]`` for none.
        sharing: Modules that the tasks share.
        objective: Weights of the recommendation tasks and of the time-series task.
        balancing: Weights of the recommendation tasks against each other.
        adversarial: Training on perturbed inputs.
        augmentation: Variation of the sequences of training batches.
        text_augmentation: Variation of the items' texts in training.
        loss: Loss of the scores against the chosen items.
        optimizer: Update of the weights.
        stage: Steps of the run by name, in order, chosen as a list: ``stage=[train,refit]``.
        trainer: Budget and hardware.
        logger: Tracker that receives the metrics besides the run's folder.
        name: Row of the run in a table, for example ``full`` or ``no_season``.
        run_dir: Folder that receives the results.
        group: Study that the run belongs to, in trackers; null for none.
        seed: Seed of training.
        cache_dir: Folder of the prepared data and text embeddings; null for the user's cache folder.
        embedding_dim: Width ``D`` of item and sequence vectors.
        max_seq_len: Most events ``T`` of a sequence; older ones are left out.
        baselines: Whether the counting baselines are evaluated beside the model.
        verify: Whether the digest of a prepared log in the cache is computed from its bytes, even in your own cache.
    """

    data: Component
    split: Component
    protocol: Component
    loader: Component
    item_encoder: Component
    behaviour: Component
    backbone: Component
    temporal: Component
    demand: Component
    habit: Component
    mixture: Component
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
    seed: Seed = 0
    cache_dir: str | None = None
    embedding_dim: Width = 64
    max_seq_len: Length = 50
    baselines: bool = True
    verify: bool = False


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
        users: File with one user id per line, a list of ids such as ``[u1,1000]``, or ``all``. A number alone is an id.
        date: Day of the request, for example ``2017-12-20``, or a list of days, which are then compared.
        output: File to write, a ``.csv``: ``user_id,rank,item_id,score``; with a list of days, ``date`` comes first.
        top_k: Items per user.
        events: File with newer events in the form of the run's own data; null for none.
        exclude_own: Whether to list no item that the user has bought before.
        allow: Modules outside seasonrec whose components the stored configuration may name.
    """

    checkpoint: str
    users: str | int | tuple[str | int, ...]
    date: str | tuple[str, ...]
    output: str
    top_k: Count = 10
    events: str | None = None
    exclude_own: bool = False
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class RobustnessConfig(Config):
    """Arguments of ``seasonrec robustness``.

    Args:
        checkpoint: Folder of a finished run.
        output: Folder that receives the table and its figure; null for the run's own.
        target: Perturbed vectors: those of the items, the inputs of the backbone, or those of the texts.
        sizes: Sizes of a perturbation, as shares of a vector's mean norm.
        shares: Shares of a history's events that are swapped, dropped or shuffled.
        max_requests: Most test baskets to rank, evenly spread.
        beside: Folders of other runs, whose tables join the figure.
        allow: Modules outside seasonrec whose components the stored configuration may name.
    """

    checkpoint: str
    output: str | None = None
    target: Literal["items", "inputs", "text"] = "inputs"
    sizes: Annotated[tuple[Positive, ...], Entries(0)] = (0.1, 0.2, 0.5, 1.0)
    shares: Annotated[tuple[PartOfAll, ...], Entries(0)] = (0.1, 0.2, 0.5, 1.0)
    max_requests: Count = 2000
    beside: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class CounterfactualConfig(Config):
    """Arguments of ``seasonrec counterfactual``.

    Args:
        checkpoint: Folder of a finished run with a season.
        days: Days by which the wrong dates are too early, in whole weeks, so that the weekday stays right.
        output: Folder that receives the table; null for the run's own.
        allow: Modules outside seasonrec whose components the stored configuration may name.
    """

    checkpoint: str
    days: Annotated[tuple[Annotated[int, AtLeast(7, 364)], ...], Entries()] = (28, 91, 182)
    output: str | None = None
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class AdaptConfig(Config):
    """Arguments of ``seasonrec adapt``.

    Args:
        checkpoint: Folder of a finished run.
        adaptation: The way in which the weights go on at an origin.
        until: Last day of the walk, ``YYYY-MM-DD``; null for the last one of the part.
        part: ``test`` walks from the test cut on; ``validation`` from the validation cut to the test cut, to choose
            options.
        gate_weeks: Weeks before an origin that are held out of its update and judge it; 0 lets every update go live.
        name: Row of the walk in a table; null for the name of the adaptation.
        output: Folder of the walk; null for ``adaptation/NAME`` in the run's own.
        allow: Modules outside seasonrec whose components the stored configuration may name.
    """

    checkpoint: str
    adaptation: Component
    until: str | None = None
    part: Literal["test", "validation"] = "test"
    gate_weeks: Annotated[int, AtLeast(0, 520)] = 2
    name: str | None = None
    output: str | None = None
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class AblateConfig(Config):
    """Arguments of ``seasonrec ablate`` beside the study; every other override goes to each of its runs.

    Args:
        run_dir: Folder of the study; a study goes on where the folder holds cells of it.
        launcher: ``local`` runs a command for each cell; otherwise the name of a Hydra launcher.
        jobs: Cells at once. With ``local`` they share the cores, and the GPUs where there are several.
        stale: Treatment of cells that were run with another configuration; ``rerun`` deletes them.
    """

    run_dir: str
    launcher: str = "local"
    jobs: Processes = 1
    stale: Literal["refuse", "rerun"] = "refuse"


@dataclass(frozen=True)
class ReportConfig(Config):
    """Arguments of ``seasonrec report``.

    Args:
        run_dir: Folder of a study.
        reference: Row that all others are compared with, in place of the study's own; the report then goes to
            ``run_dir/beside_REFERENCE``.
        against: File ``per_user.parquet`` of another study under the same protocol, whose rows are compared too; the
            report then goes to ``run_dir/against_STUDY``.
    """

    run_dir: str
    reference: str | None = None
    against: str | None = None


SLOTS_WITH_LATER_DEFAULTS = (
    "behaviour",
    "demand",
    "mixture",
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
"""Slots that the records of older runs lack; their defaults describe those runs. Ablations may set all of them."""

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
"""Keys that an ablation may set. Data, split, protocol, batches and budget are the same in every row of a table."""
