"""Tuning methods in a real trainer: steps, budgets, thawing, and resume."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from safetensors import safe_open
from small_shop import Shop
from tiny_language_models import LAYERS, save_tiny
from torch import Tensor, nn

from seasonrec.models.backbone.pretrained import PretrainedBackbone
from seasonrec.models.language.lookup import frozen_names
from seasonrec.models.peft.adalora import AdaLoRA, ranks
from seasonrec.models.peft.base import Tuning
from seasonrec.models.peft.gradual import GradualUnfreezing
from seasonrec.models.peft.layers import depths
from seasonrec.models.peft.lora import LoRA
from seasonrec.models.peft.none import FullTuning
from seasonrec.training.checkpointing.checkpoints import RunCheckpoints
from seasonrec.training.checkpointing.weights import WeightsError
from seasonrec.training.distributed.strategies import SharedWeights
from seasonrec.training.optimizer import AdamWOptions
from seasonrec.training.peft_schedule import PeftSchedule

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*", "ignore:.*in eval mode at the start.*")

BATCHES, EPOCHS, DIM = 5, 3, 16
ADALORA = partial(AdaLoRA, initial_rank=4, target_rank=2, every_steps=2, target_modules=("c_attn", "c_fc"))
MATRICES = 2 * LAYERS
Watch = Callable[[L.LightningModule, int], None]


class Killed(Exception):
    """A simulated kill."""


class Small(L.LightningModule):
    """A module that memorises, and calls ``watch`` after every batch."""

    def __init__(self, model: nn.Module, watch: Watch) -> None:
        super().__init__()
        self.model = model
        self.watch = watch

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        events, wanted = batch
        loss = (self.model.backbone(events, torch.zeros(events.shape[:2], dtype=torch.bool)) - wanted).square().mean()
        self.log("val/bits", loss, on_step=False, on_epoch=True)
        return loss

    def configure_callbacks(self) -> list[L.Callback]:
        return [PeftSchedule(self.model.peft)]

    def recommenders(self) -> dict[str, nn.Module]:
        return {"model.": self.model}

    def configure_optimizers(self) -> Any:
        return AdamWOptions(learning_rate=0.01).build(self.model, int(self.trainer.estimated_stepping_batches))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.watch(self, self.trainer.global_step)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny("gpt2", tmp_path_factory.mktemp("language_models"))


def run(
    shop: Shop,
    folder: str,
    run_dir: Path,
    method: Callable[..., Any],
    watch: Watch = lambda module, step: None,
    accumulate: int = 1,
) -> Small:
    """Trains three epochs of five batches, from the start or the last checkpoint in ``run_dir``."""
    torch.manual_seed(0)
    facts = shop.facts(DIM)
    model = nn.ModuleDict({"backbone": PretrainedBackbone(folder, dropout=0.0, facts=facts)})
    model.peft = method(facts=facts)
    model.peft.apply(model)
    torch.manual_seed(1)
    data = [(torch.randn(4, 6, DIM), torch.randn(4, 6, DIM)) for _ in range(BATCHES)]
    module, kept = Small(model, watch), RunCheckpoints(run_dir / "checkpoints", "val/bits", "min", every_steps=99)
    trainer = L.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", callbacks=[kept], logger=False, accumulate_grad_batches=accumulate,
        gradient_clip_val=0.5, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    resume: Any = str(kept.last) if kept.last.exists() else None
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=None), ckpt_path=resume, weights_only=True)
    return module


class Noted(Tuning):
    """A tuning method that records its calls."""

    def __init__(self, *, facts: Any) -> None:
        super().__init__(facts=facts)
        self.said: list[tuple[str, int]] = []
        self.norms: dict[str, list[float]] = {"before": [], "after": []}

    def tune(self, language_model: Any) -> nn.Module:
        return language_model

    def norm(self) -> float:
        gradients = [p.grad for p in self.components["backbone"].parameters() if p.grad is not None]
        return float(torch.stack([gradient.norm() for gradient in gradients]).norm())

    def before_training(self, total_steps: int) -> None:
        self.said.append(("total", total_steps))

    def before_step(self, step: int) -> None:
        self.said.append(("before", step))
        self.norms["before"].append(self.norm())

    def after_step(self, step: int) -> None:
        self.said.append(("after", step))
        self.norms["after"].append(self.norm())


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 15), (2, 9), (5, 3)])
def test_steps_of_the_optimiser_are_told_and_gradients_are_there(
    shop: Shop, folder: str, tmp_path: Path, accumulate: int, steps: int
) -> None:
    peft: Noted = run(shop, folder, tmp_path, Noted, accumulate=accumulate).model.peft
    each = [(when, place + step) for step in range(steps) for when, place in (("before", 0), ("after", 1))]
    assert peft.said == [("total", steps), *each]
    assert max(peft.norms["before"]) > 0.6, "not yet clipped"
    assert max(peft.norms["after"]) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("last_share", [0.7, 1.0])
def test_adalora_reaches_its_budget_at_the_true_end(
    shop: Shop, folder: str, tmp_path: Path, last_share: float, accumulate: int
) -> None:
    """Checks the cubic schedule of the paper against values by hand for every step."""
    found: dict[int, int] = {}

    def watch(module: L.LightningModule, step: int) -> None:
        found[step] = sum(ranks(module.model["backbone"].language_model).values())

    method = partial(ADALORA, first_share=0.2, last_share=last_share)
    module = run(shop, folder, tmp_path, method, watch, accumulate)
    total = module.trainer.global_step
    assert total == {1: 15, 2: 9}[accumulate]
    first, last = round(0.2 * total), round(last_share * total)
    for step in range(last, total + 1):
        assert found[step] == 2 * MATRICES
    for step in range(first + 1, last):
        if step % 2 == 0:
            left = 1 - (step - first) / (last - first)
            assert found[step] == int((4 - 2) * MATRICES * left**3 + 2 * MATRICES)
    assert found[1] == 4 * MATRICES
    kept = ranks(module.model["backbone"].language_model)
    assert sum(kept.values()) == 2 * MATRICES
    assert len(kept) == MATRICES


def test_gradual_moves_layers_from_their_steps_on(shop: Shop, folder: str, tmp_path: Path) -> None:
    """Checks that of 15 steps, layers thaw at 3, 5, 7 and 9: ``3 + (9 - 3) * k / 3``."""
    moved: dict[int, list[int]] = {}
    before: dict[str, Tensor] = {}

    def watch(module: L.LightningModule, step: int) -> None:
        weights = module.model["backbone"].language_model.state_dict()
        depth = depths(module.model["backbone"].language_model)
        for name, value in weights.items():
            if step > 1 and not torch.equal(value, before[name]):
                moved.setdefault(depth[name], []).append(step - 1)
        before.update({name: value.clone() for name, value in weights.items()})

    run(shop, folder, tmp_path, partial(GradualUnfreezing, first_share=0.2, last_share=0.6), watch)
    last = 14  # the rate has decayed to nearly nothing, but not to zero
    assert {depth: (min(steps), max(steps)) for depth, steps in moved.items()} == {
        3: (3, last),
        2: (5, last),
        1: (7, last),
        0: (9, last),
    }


@pytest.mark.parametrize(
    ("method", "at"), [(ADALORA, 7), (ADALORA, 12), (GradualUnfreezing, 7), (LoRA, 7), (FullTuning, 12)]
)
def test_run_that_goes_on_ends_where_one_left_alone_ends(
    shop: Shop, folder: str, tmp_path: Path, method: Callable[..., Any], at: int
) -> None:
    expected = run(shop, folder, tmp_path / "alone", method)

    def kill(module: L.LightningModule, step: int) -> None:
        if step == at:
            raise Killed

    with pytest.raises(Killed):
        run(shop, folder, tmp_path / "killed", method, kill)
    met: list[int] = []
    again = run(shop, folder, tmp_path / "killed", method, lambda module, step: met.append(step))
    assert met == list(range(at // BATCHES * BATCHES + 1, 16)), "from the end of the last epoch before the kill"
    for name, value in expected.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


def test_checkpoints_leave_out_the_frozen_weights(shop: Shop, folder: str, tmp_path: Path) -> None:
    module = run(shop, folder, tmp_path, LoRA)
    trained = {name for name, p in module.model.named_parameters() if p.requires_grad}
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["state_dict"].keys() == {f"model.{name}" for name in trained}
    assert frozen_names(module.model) == set(module.model.state_dict()) - trained
    (best,) = (tmp_path / "checkpoints").glob("best_epoch_*.safetensors")
    with safe_open(str(best), "pt") as file:
        assert set(file.keys()) == trained


def test_checkpoint_of_another_tuning_is_refused(shop: Shop, folder: str, tmp_path: Path) -> None:
    run(shop, folder, tmp_path, LoRA)
    with pytest.raises(WeightsError, match=r"last.ckpt must hold every weight but .*set peft and its options"):
        run(shop, folder, tmp_path, partial(LoRA, target_modules="all-linear"))


@pytest.mark.parametrize(
    ("precision", "strategy", "message"),
    [
        (MixedPrecision("16-mixed", "cpu"), None, "peft=adalora reads the gradients of every step.*bf16-mixed"),
        (None, object.__new__(SharedWeights), "peft=adalora compares .*trainer.strategy=ddp"),
    ],
)
def test_adalora_refuses_gradients_that_it_cannot_read(shop: Shop, precision: Any, strategy: Any, message: str) -> None:
    trainer: Any = SimpleNamespace(precision_plugin=precision, strategy=strategy)
    with pytest.raises(ValueError, match=message):
        PeftSchedule(AdaLoRA(facts=shop.facts(DIM))).setup(trainer, None, "fit")
    PeftSchedule(LoRA(facts=shop.facts(DIM))).setup(trainer, None, "fit")


def test_too_few_steps_for_adalora_are_refused(shop: Shop) -> None:
    with pytest.raises(ValueError, match="a step between first_share and last_share, got 1 steps in all"):
        AdaLoRA(first_share=0.1, last_share=0.3, facts=shop.facts(DIM)).before_training(1)
