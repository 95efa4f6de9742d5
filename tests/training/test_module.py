"""The training module: loss, schedule, non-finite losses, and options of the trainer."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import OPTIONS, Curve, SmallValidation, small_loader, small_model, small_run
from small_shop import Shop
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.evaluation.ranking.scorers import validation_metrics
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.training.checkpointing.weights import load_weights, save_weights
from seasonrec.training.fit import TrainerOptions, fit
from seasonrec.training.loss.full_softmax import FullSoftmax
from seasonrec.training.module import NonFiniteLossError, RecommenderModule
from seasonrec.training.objective import Losses
from seasonrec.training.optimizer import AdamWOptions


def module_of(shop: Shop, model: SeasonalRecommender, run_dir: Path) -> RecommenderModule:
    return RecommenderModule(model, FullSoftmax(facts=shop.facts()), AdamWOptions(), validation_metrics, run_dir)


def first_batch(shop: Shop, model: SeasonalRecommender) -> SequenceBatch:
    return next(iter(small_loader(shop, model)))


def test_loss_is_the_mean_log_softmax_over_the_candidates(shop: Shop, tmp_path: Path) -> None:
    model = small_model(shop).eval()
    batch = first_batch(shop, model)
    scores = model(batch).tolist()
    first_seen, times = shop.log.item_first_seen_s.tolist(), batch.request_time_s.tolist()
    losses = []
    for request, item in zip(batch.target_request.tolist(), batch.target_items.tolist(), strict=True):
        candidates = [s for s, seen in zip(scores[request], first_seen, strict=True) if seen <= times[request]]
        largest = max(candidates)
        total = largest + math.log(sum(math.exp(score - largest) for score in candidates))
        losses.append(total - scores[request][item])
    assert (model.first_seen_s > batch.request_time_s[:, None]).any()  # some items are no candidates yet
    given = module_of(shop, model, tmp_path).losses(batch).by_name()
    assert list(given) == ["next_item"]
    assert given["next_item"].item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_losses_are_pure(shop: Shop, tmp_path: Path) -> None:
    model = small_model(shop).eval()
    module, batch = module_of(shop, model, tmp_path), first_batch(shop, model)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    first, second = module.losses(batch).tasks["next_item"], module.losses(batch).tasks["next_item"]
    assert torch.equal(first, second)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_loss_that_is_no_number_stops_the_run_and_keeps_the_batch(shop: Shop, tmp_path: Path) -> None:
    model = small_model(shop)
    loader = small_loader(shop, model)
    expected = list(small_loader(shop, model))[2]
    module = BreaksAtThird(model, FullSoftmax(facts=shop.facts()), AdamWOptions(), validation_metrics, tmp_path)
    path = tmp_path / "nonfinite_batch.json"
    message = rf"the loss at epoch 0, step 2 must be finite, got .*nan.*; .* are in {re.escape(str(path))}\. Lower"
    with pytest.raises(NonFiniteLossError, match=message):
        fit(module, loader, SmallValidation(shop, model), OPTIONS, tmp_path)
    kept = json.loads(path.read_text())
    assert (kept["epoch"], kept["step"], kept["losses"]) == (0, 2, {"next_item": "nan"})
    assert kept["user_ids"] == expected.user_ids.tolist()
    assert kept["basket_ids"] == expected.basket_ids.tolist()


class BreaksAtThird(RecommenderModule):
    def losses(self, batch: SequenceBatch) -> Losses:
        losses = super().losses(batch)
        factor = math.nan if self.global_step == 2 else 1.0
        return replace(losses, tasks={name: loss * factor for name, loss in losses.tasks.items()})


def test_schedule_rises_and_falls() -> None:
    share = AdamWOptions(warmup_share=0.1).share_at
    assert [share(step, 100) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert [share(step, 100) for step in (10, 55, 100, 150)] == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert AdamWOptions(warmup_share=0.0).share_at(0, 10) == 1.0
    assert AdamWOptions().share_at(0, 1) == 1.0
    rates = [share(step, 50) for step in range(5, 51)]
    assert rates == sorted(rates, reverse=True)


def test_optimizer_decays_matrices_alone() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    net[2].weight.requires_grad_(False)
    built = AdamWOptions(learning_rate=0.5, weight_decay=0.3, betas=(0.8, 0.9)).build(net, total_steps=40)
    matrices, rest = built["optimizer"].param_groups
    assert [p.shape for p in matrices["params"]] == [(4, 3)]
    assert [len(p) for p in rest["params"]] == [4, 4, 4, 2]
    assert (matrices["weight_decay"], rest["weight_decay"]) == (0.3, 0.0)
    assert matrices["betas"] == (0.8, 0.9)
    assert matrices["lr"] == pytest.approx(0.5 / 4)  # the first of four steps of warm-up
    assert built["lr_scheduler"]["interval"] == "step"


def test_schedule_ends_at_zero_with_the_last_step_of_the_run(shop: Shop, tmp_path: Path) -> None:
    run = small_run(shop, tmp_path, options=replace(OPTIONS, max_epochs=2))
    assert run.last["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, r"optimizer\.learning_rate must be above 0, got 0\.0; try 0\.002"),
        ({"learning_rate": math.nan}, r"optimizer\.learning_rate must be above 0, got nan"),
        (
            {"pretrained_factor": 0.0},
            r"optimizer\.pretrained_factor must be above 0, got 0\.0; try 1",
        ),
        ({"warmup_share": 1.0}, r"optimizer\.warmup_share must lie in \[0, 1\), got 1\.0; try 0\.1"),
    ],
)
def test_optimizer_options_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdamWOptions(**options)


COUNTS = ["max_epochs", "patience", "accumulate_batches", "checkpoint_every_steps", "num_threads"]


@pytest.mark.parametrize("name", COUNTS)
def test_trainer_options_out_of_range(name: str) -> None:
    with pytest.raises(ValueError, match=rf"trainer\.{name} must be at least 1.*, got 0"):
        TrainerOptions(**{name: 0})


@pytest.mark.parametrize("norm", [-0.05, math.nan])
def test_a_norm_to_clip_to_that_is_none(norm: float) -> None:
    with pytest.raises(ValueError, match=rf"trainer\.gradient_clip_norm must be at least 0, got {norm}; try 1"):
        TrainerOptions(gradient_clip_norm=norm)


class BreaksInValidation(RecommenderModule):
    def validation_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        raise FloatingPointError


def test_a_validation_that_is_broken_off_leaves_nothing_behind(shop: Shop, tmp_path: Path) -> None:
    """Checks that item vectors are discarded; otherwise, further training would not change them."""
    model = small_model(shop)
    module = BreaksInValidation(model, FullSoftmax(facts=shop.facts()), AdamWOptions(), validation_metrics, tmp_path)
    with pytest.raises(FloatingPointError):
        fit(module, small_loader(shop, model), SmallValidation(shop, model), OPTIONS, tmp_path)
    assert model._frozen is None
    assert module.means.take() == {}


def test_best_epoch_s_weights_are_taken(shop: Shop, tmp_path: Path) -> None:
    """Checks that a run with a far too high rate gets worse, stops, and returns the best weights."""
    kept: dict[int, dict[str, Tensor]] = {}
    curve = Curve()
    options = replace(OPTIONS, max_epochs=12, patience=2)
    run = small_run(shop, tmp_path, options=options, curve=curve, learning_rate=0.1, keep=kept)
    bits = [curve.values[epoch]["val/bits"] for epoch in sorted(curve.values)]
    best = bits.index(min(bits))
    assert len(bits) == best + 1 + options.patience < options.max_epochs
    assert (run.result.best_epoch, run.result.epochs) == (best, len(bits))
    assert run.result.best_value == pytest.approx(min(bits))
    assert all(torch.equal(run.weights[name], weight) for name, weight in kept[best].items())
    assert not all(torch.equal(run.weights[name], weight) for name, weight in kept[len(bits) - 1].items())


def test_higher_is_better_where_ndcg_is_monitored(shop: Shop, tmp_path: Path) -> None:
    run = small_run(shop, tmp_path, options=replace(OPTIONS, monitor="ndcg@10", patience=3))
    values = [run.curve[epoch]["val/ndcg@10"] for epoch in sorted(run.curve)]
    assert run.result.best_value == pytest.approx(max(values))
    assert run.result.best_epoch == values.index(max(values))


def test_bf16_mixed_trains(shop: Shop, tmp_path: Path) -> None:
    run = small_run(shop, tmp_path, options=replace(OPTIONS, max_epochs=1, precision="bf16-mixed"))
    assert all(weight.dtype == torch.float32 and weight.isfinite().all() for weight in run.weights.values())
    assert math.isfinite(run.result.best_value)


def test_compiled_model_trains_and_saves_plain_names(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_ = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self: compile_(self, backend="eager"))  # traced, not lowered
    run = small_run(shop, tmp_path, options=replace(OPTIONS, max_epochs=1, compile=True))
    assert not [name for name in run.weights if "_orig_mod" in name]
    assert math.isfinite(run.result.best_value)


def test_weights_of_another_model_are_refused(shop: Shop, tmp_path: Path) -> None:
    save_weights(tmp_path / "model.safetensors", nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match="weight"):
        load_weights(tmp_path / "model.safetensors", nn.Sequential(nn.Linear(2, 2)))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
