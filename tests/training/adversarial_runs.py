"""Work of each of two processes in the tests of adversarial training: a small run of every method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch
from adversarial_by_hand import OPTIONS, SGD, WITHOUT_DROPOUT
from small_runs import small_loader, small_model
from small_shop import Shop, open_shop
from torch import nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.batches.sharding import Shard
from seasonrec.evaluation.ranking.scorers import validation_metrics
from seasonrec.models.components import ContextValues
from seasonrec.models.task.base import TaskFeatures, TaskOutput
from seasonrec.training.adversarial.fgm import FGM
from seasonrec.training.adversarial.freelb import FreeLB
from seasonrec.training.adversarial.pgd import PGD
from seasonrec.training.adversarial.vat import VAT
from seasonrec.training.distributed.processes import RunProcesses
from seasonrec.training.distributed.strategies import strategy_of
from seasonrec.training.loss.full_softmax import FullSoftmax
from seasonrec.training.module import RecommenderModule

CLASSES: dict[str, Any] = {"fgm": FGM, "pgd": PGD, "pgd from a random start": PGD, "freelb": FreeLB, "vat": VAT}
GATHERED = 3
TARGETS = {"fgm": "items", "pgd": "items", "pgd from a random start": "inputs", "freelb": "inputs", "vat": "items"}
PLAIN: dict[str, Any] = {}
GATHERED_AND_CLIPPED: dict[str, Any] = {"accumulate_grad_batches": GATHERED, "gradient_clip_val": 0.05}


def train_in_two(cache_dir: Path, folder: Path, shard: Shard) -> None:
    """Writes the weights of every run to ``folder / "rank_<r>.pt"``, with the message of a refused run."""
    torch.set_num_threads(1)
    shop = open_shop(cache_dir)
    found: dict[str, Any] = {}
    for name, made in CLASSES.items():
        options = GATHERED_AND_CLIPPED if name in ("fgm", "freelb") else PLAIN
        found[name] = _trained(shop, made(target=TARGETS[name], **OPTIONS[name]), "ddp", options)
    found["a task that predicts nothing"] = _trained(shop, VAT(), "ddp", PLAIN, task={"aside": Aside})
    try:
        _trained(shop, FGM(), "fsdp", PLAIN)
    except ValueError as error:
        found["fsdp"] = str(error)
    torch.save(found, folder / f"rank_{shard.rank}.pt")


class Aside(nn.Module):
    """A task with weights that do not affect the predictions."""

    reads = labels = ()
    kind = "amount"
    is_series = False

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()
        self.out = nn.Linear(facts.embedding_dim, 1)

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        said = self.out(features.query).squeeze(1)
        return TaskOutput((said - 1.0).square().mean(), said.detach(), torch.ones_like(said))


def _trained(shop: Shop, adversarial: Any, strategy: str, options: dict[str, Any], **parts: Any) -> list[torch.Tensor]:
    L.seed_everything(7, verbose=False)
    model = small_model(shop, **WITHOUT_DROPOUT, **parts)
    loss: Any = FullSoftmax(facts=shop.facts())
    module = RecommenderModule(model, loss, SGD(), validation_metrics, Path(), adversarial=adversarial)  # type: ignore[arg-type]
    trainer = L.Trainer(
        max_epochs=1,
        accelerator="cpu",
        devices=2,
        strategy=strategy_of(strategy, 2),
        plugins=[RunProcesses(2)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        **options,
    )
    trainer.fit(module, small_loader(shop, model))
    return [weight.detach().clone() for weight in model.parameters()]
