"""Adversarial training against a plain loop that shares no code with it, and its refusals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from adversarial_by_hand import METHODS, OPTIONS, SGD, WITHOUT_DROPOUT, train_by_hand
from lightning.pytorch.plugins import MixedPrecision
from small_runs import OPTIONS as FIT
from small_runs import Killed, SmallValidation, small_loader, small_model
from small_shop import Shop
from torch import Tensor, nn

import seasonrec.models.item_encoder.text
from seasonrec.batches.batch import SequenceBatch
from seasonrec.config import Composer, ConfTree, build, conf_dir
from seasonrec.evaluation.ranking.scorers import validation_metrics
from seasonrec.models.backbone.none import NoBackbone
from seasonrec.models.item_encoder.text import TextItems
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.task.contrastive import ContrastiveHead
from seasonrec.training.adversarial.base import Adversarial
from seasonrec.training.adversarial.callback import AdversarialCallback
from seasonrec.training.adversarial.fgm import FGM
from seasonrec.training.adversarial.freelb import FreeLB
from seasonrec.training.adversarial.none import NoAdversarial
from seasonrec.training.adversarial.perturbation import (
    ascend,
    block_norms,
    divergence,
    project,
    radii,
    random_start,
    random_unit,
    unit,
)
from seasonrec.training.adversarial.pgd import PGD
from seasonrec.training.adversarial.shifts import PerturbationError
from seasonrec.training.adversarial.vat import VAT, power_iteration
from seasonrec.training.fit import fit
from seasonrec.training.loss.full_softmax import FullSoftmax
from seasonrec.training.module import RecommenderModule
from seasonrec.training.optimizer import AdamWOptions

CLASSES: dict[str, Callable[..., Adversarial]] = {"fgm": FGM, "pgd": PGD, "freelb": FreeLB, "vat": VAT}
YAMLS = sorted(path.stem for path in (conf_dir() / "adversarial").glob("*.yaml"))
EPOCH = 7
BATCHES = 4
"""Batches of an epoch in the comparisons."""


def ours(name: str, target: str) -> Adversarial:
    return CLASSES[name.partition(" ")[0]](target=target, **OPTIONS[name])


def module_of(shop: Shop, model: SeasonalRecommender, adversarial: Any, run_dir: Path = Path()) -> RecommenderModule:
    loss: Any = FullSoftmax(facts=shop.facts())
    return RecommenderModule(model, loss, SGD(), validation_metrics, run_dir, adversarial=adversarial)  # type: ignore[arg-type]


def trainer_of(**options: Any) -> L.Trainer:
    """Returns a trainer without options for adversarial training, like a user's own."""
    return L.Trainer(
        **({"max_epochs": 1, "accelerator": "cpu", "devices": 1, "limit_train_batches": BATCHES} | options),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def trained(shop: Shop, adversarial: Any, parts: dict[str, Any], **options: Any) -> list[Tensor]:
    L.seed_everything(7, verbose=False)
    model = small_model(shop, **parts)
    trainer_of(**options).fit(module_of(shop, model, adversarial), small_loader(shop, model))
    assert hooks_of(model) == 0
    return [weight.detach() for weight in model.parameters()]


def by_hand(shop: Shop, name: str, target: str, parts: dict[str, Any], gathered: int = 1, **more: Any) -> list[Tensor]:
    L.seed_everything(7, verbose=False)
    batches = list(islice(small_loader(shop, small_model(shop, **parts)), BATCHES))
    L.seed_everything(7, verbose=False)
    steps = [batches[start : start + gathered] for start in range(0, BATCHES, gathered)]
    return train_by_hand(shop, METHODS[name], target, steps, len(steps), **more, **parts)


def hooks_of(model: nn.Module) -> int:
    changed_at = sum("at" in vars(part) for part in model.modules())
    return changed_at + sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules())


def assert_close(weights: list[Tensor], expected: list[Tensor], apart_from: list[Tensor] | None = None) -> None:
    for weight, one in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight, one, rtol=0, atol=1e-5)
    if apart_from is not None:
        assert max(float((a - b).abs().max()) for a, b in zip(weights, apart_from, strict=True)) > 1e-3


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Returns a model of texts with random vectors."""
    draws = torch.Generator().manual_seed(3)
    kept: dict[int, Tensor] = {}

    def read(items: tuple[str, ...]) -> Tensor:
        return kept.setdefault(len(items), torch.randn(len(items), 24, generator=draws))

    monkeypatch.setattr(seasonrec.models.item_encoder.text, "TextReader", lambda name, folder: read)
    return {"item_encoder": partial(TextItems, hidden_dim=8), **WITHOUT_DROPOUT}


@pytest.fixture(scope="module")
def plain(shop: Shop) -> list[Tensor]:
    return trained(shop, None, WITHOUT_DROPOUT)


@pytest.mark.parametrize("target", ["items", "inputs"])
@pytest.mark.parametrize("name", METHODS)
def test_equals_a_plain_loop(shop: Shop, plain: list[Tensor], name: str, target: str) -> None:
    found = trained(shop, ours(name, target), WITHOUT_DROPOUT)
    assert_close(found, by_hand(shop, name, target, WITHOUT_DROPOUT), apart_from=plain)


@pytest.mark.parametrize("name", METHODS)
def test_equals_a_plain_loop_on_texts(shop: Shop, texts: dict[str, Any], name: str) -> None:
    clean = trained(shop, None, texts)
    assert_close(trained(shop, ours(name, "text"), texts), by_hand(shop, name, "text", texts), apart_from=clean)


@pytest.mark.parametrize("name", METHODS)
def test_equals_a_plain_loop_in_bf16_with_clipping_and_gathered_batches(shop: Shop, name: str) -> None:
    target = "inputs" if name == "vat" else "items"
    options = {"precision": "bf16-mixed", "gradient_clip_val": 0.05, "accumulate_grad_batches": 3}
    expected = by_hand(shop, name, target, WITHOUT_DROPOUT, gathered=3, bf16=True, clip=0.05)  # 3 batches, then 1
    found = trained(shop, ours(name, target), WITHOUT_DROPOUT, **options)
    assert_close(found, expected)


@pytest.mark.parametrize("name", METHODS)
def test_every_pass_drops_what_the_clean_pass_drops(shop: Shop, name: str) -> None:
    assert_close(trained(shop, ours(name, "inputs"), {}), by_hand(shop, name, "inputs", {}))


def test_fgm_moves_no_other_random_draw(shop: Shop) -> None:
    ends = []
    for adversarial in (None, FGM()):
        trained(shop, adversarial, {})
        ends.append(torch.get_rng_state())
    assert torch.equal(*ends)


def test_a_gradient_scaler_changes_nothing_but_rounding(shop: Shop) -> None:
    """Checks that the scale of all gradients is removed once from their sum."""

    def run(scaler: torch.amp.GradScaler) -> list[Tensor]:
        plugin = MixedPrecision("16-mixed", "cpu", scaler)
        plugin.autocast_context_manager = lambda: torch.autocast("cpu", enabled=False)  # type: ignore[method-assign]
        return trained(shop, PGD(target="inputs", size=0.5), WITHOUT_DROPOUT, plugins=[plugin], gradient_clip_val=1.0)

    expected = trained(shop, PGD(target="inputs", size=0.5), WITHOUT_DROPOUT, gradient_clip_val=1.0)
    assert_close(run(torch.amp.GradScaler("cpu", init_scale=1024.0)), expected)


def test_a_step_whose_gradients_overflow_is_left_out(shop: Shop) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120, growth_interval=10**6)
    plugin = MixedPrecision("16-mixed", "cpu", scaler)
    weights = trained(shop, FreeLB(), WITHOUT_DROPOUT, plugins=[plugin])
    assert all(weight.isfinite().all() for weight in weights)
    assert scaler.get_scale() < 2.0**120


def test_logs_the_clean_losses_alone_and_once(shop: Shop) -> None:
    L.seed_everything(7, verbose=False)
    model = small_model(shop)
    module = module_of(shop, model, PGD())
    logged: list[str] = []
    module.log = lambda name, *more, **options: logged.append(name)  # type: ignore[method-assign]
    trainer_of(limit_train_batches=2).fit(module, small_loader(shop, model))
    assert logged == ["train/next_item"] * 2
    assert not module.is_adversarial_pass


@pytest.mark.parametrize("option", YAMLS)
def test_every_yaml_builds_what_the_module_takes(shop: Shop, option: str) -> None:
    slot: Adversarial = build(Composer(ConfTree.of()).compose([f"adversarial={option}"]).adversarial)()
    callbacks = slot.callbacks(small_model(shop))
    assert [type(one) for one in callbacks] == ([] if option == "none" else [AdversarialCallback])
    assert all(isinstance(one, L.Callback) for one in callbacks)


def test_none_changes_no_bit(shop: Shop, plain: list[Tensor]) -> None:
    again = trained(shop, NoAdversarial(), WITHOUT_DROPOUT)
    assert all(torch.equal(one, other) for one, other in zip(again, plain, strict=True))


@pytest.mark.parametrize(
    ("target", "parts", "message"),
    [
        ("text", {}, r"that the model has, items, inputs, got 'text'; text needs an item encoder .*, got IdItems"),
        ("inputs", {"backbone": NoBackbone}, r"has, items, got 'inputs'; inputs needs a backbone .*, got NoBackbone"),
        ("outputs", {}, r"adversarial\.target must be one that the model has, items, inputs, got 'outputs'\."),
    ],
)
def test_a_target_that_the_model_has_not(shop: Shop, target: Any, parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FGM(target=target).callbacks(small_model(shop, **parts))


@pytest.mark.parametrize(
    ("made", "options", "name"),
    [
        (FGM, {"size": 0.0}, "size"),
        (FGM, {"weight": -1.0}, "weight"),
        (PGD, {"num_steps": 0}, "num_steps"),
        (FreeLB, {"step_size": 0.0}, "step_size"),
        (VAT, {"probe_size": math.nan}, "probe_size"),
        (VAT, {"num_iterations": 0}, "num_iterations"),
    ],
)
def test_options_out_of_range(made: Callable[..., Adversarial], options: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=rf"adversarial\.{name} must be (above 0|at least 1), got .*; try "):
        made(**options)


def test_a_compiled_model_is_refused(shop: Shop) -> None:
    model = small_model(shop)
    model.compile(backend="eager")
    with pytest.raises(ValueError, match=r"does not notice; set trainer\.compile=false"):
        trainer_of().fit(module_of(shop, model, FGM()), small_loader(shop, model))


class Breaks(L.Callback):
    """A user's own callback with a fault."""

    def __init__(self, hook: str, at: int) -> None:
        self.at = at
        setattr(self, hook, self._break)

    def _break(self, trainer: L.Trainer, *more: Any) -> None:
        if trainer.global_step == self.at:
            raise Killed


def fitted(
    shop: Shop, run_dir: Path, adversarial: Adversarial, *callbacks: L.Callback
) -> tuple[SeasonalRecommender, dict[str, Any]]:
    """Trains like ``seasonrec train``, with further callbacks beside those of adversarial training."""
    L.seed_everything(7, verbose=False)
    model = small_model(shop)
    module = module_of(shop, model, adversarial, run_dir)
    own = module.configure_callbacks
    module.configure_callbacks = lambda: [*own(), *callbacks]  # type: ignore[method-assign]
    options = replace(FIT, max_epochs=1)
    try:
        fit(module, small_loader(shop, model), SmallValidation(shop, model), options, run_dir)
    finally:
        assert hooks_of(model) == 0, "no hook is left, however it ends"
        assert not module.is_adversarial_pass
    return model, torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.parametrize(
    ("hook", "adversarial"),
    [
        ("on_train_batch_start", FGM()),
        ("on_before_backward", FreeLB(target="inputs")),
        ("on_after_backward", VAT()),
    ],
)
def test_a_callback_that_raises_loses_no_checkpoint_and_the_run_goes_on_to_the_bit(
    shop: Shop, tmp_path: Path, hook: str, adversarial: Adversarial
) -> None:
    expected, end = fitted(shop, tmp_path / "alone", adversarial)
    with pytest.raises(Killed):
        fitted(shop, tmp_path / "broken", adversarial, Breaks(hook, at=4))
    kept = torch.load(tmp_path / "broken" / "checkpoints" / "last.ckpt", weights_only=True)
    assert 0 < kept["global_step"] <= 4
    model, last = fitted(shop, tmp_path / "broken", adversarial)
    assert last["global_step"] == end["global_step"] == EPOCH
    for one, other in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, other)
    for name, weight in end["state_dict"].items():
        assert torch.equal(last["state_dict"][name], weight), name


def test_a_pass_that_raises_leaves_no_hook(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    L.seed_everything(7, verbose=False)
    model = small_model(shop)
    module = module_of(shop, model, VAT())
    monkeypatch.setattr("seasonrec.training.adversarial.vat.divergence", raise_killed)
    with pytest.raises(Killed):
        trainer_of().fit(module, small_loader(shop, model))
    assert hooks_of(model) == 0
    assert not module.is_adversarial_pass


def raise_killed(*arguments: Any) -> Tensor:
    raise Killed


class ReadsMore(FullSoftmax):
    """A loss that reads the items a different number of times, or different items, at every call."""

    def __init__(self, change: Callable[[int], list[int] | None], **facts: Any) -> None:
        super().__init__(**facts)
        self.change = change
        self.calls = 0
        self.read: list[Tensor] = []

    def __call__(self, model: SeasonalRecommender, batch: SequenceBatch, *more: Any) -> Tensor:
        self.calls += 1
        loss, items = super().__call__(model, batch, *more), self.change(self.calls)
        if items is None:
            return loss
        vectors = model.item_encoder(torch.tensor(items))
        self.read.append(vectors.detach().clone())
        return loss + vectors.sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda call: [1] if call > 1 else None, r"as the clean pass did, 1 times, got 2; a component that draws"),
        (lambda call: [1] if call == 1 else None, r"as the clean pass did, 2 times, got 1"),
        (lambda call: [1, 2][:call], r"as the clean pass did, with shape \(1, 16\), got \(2, 16\)"),
    ],
)
def test_a_pass_unlike_the_clean_one_is_refused(shop: Shop, change: Any, message: str) -> None:
    model = small_model(shop)
    module = module_of(shop, model, FGM())
    module.loss = ReadsMore(change, facts=shop.facts())
    with pytest.raises(PerturbationError, match=message):
        trainer_of().fit(module, small_loader(shop, model))
    assert hooks_of(model) == 0


def test_a_second_reading_of_the_items_is_perturbed_by_its_own_gradient(shop: Shop) -> None:
    model = small_model(shop)
    module = module_of(shop, model, FGM(size=0.5))
    module.loss = ReadsMore(lambda call: [4, 2], facts=shop.facts())
    before = model.item_encoder.vectors.weight.detach().clone()
    trainer_of(limit_train_batches=1).fit(module, small_loader(shop, model))
    rows = before[[4, 2]]
    clean, perturbed = module.loss.read  # type: ignore[attr-defined]
    assert torch.equal(clean, rows)
    shift = perturbed - rows  # the gradient of a sum is one everywhere
    torch.testing.assert_close(shift, (0.5 * rows.norm(dim=1).mean() / 4).expand(2, 16), rtol=1e-4, atol=1e-6)


def test_views_are_drawn_anew_in_every_batch_and_the_same_in_all_its_passes(shop: Shop) -> None:
    """Checks a contrastive task, which reads two cropped views of each training window besides the window."""
    model = small_model(shop, task={"contrastive": ContrastiveHead})
    seen: list[Tensor] = []
    model.backbone.register_forward_pre_hook(lambda part, given: seen.append(given[1]))
    trainer_of(limit_train_batches=2).fit(module_of(shop, model, PGD(target="inputs")), small_loader(shop, model))
    assert len(seen) == 2 * 4 * 3  # batches, passes, readings
    for batch in (seen[:12], seen[12:]):
        for first, *others in (batch[:3], batch[3:6], batch[6:9], batch[9:]):
            assert not torch.equal(*others)
            assert torch.equal(first, batch[0])
            assert all(torch.equal(*pair) for pair in zip(others, batch[1:3], strict=True))


def test_a_loss_that_is_no_number_is_told(shop: Shop) -> None:
    class BreaksPerturbed(RecommenderModule):
        def training_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:
            found = super().training_step(batch, batch_idx)
            return found * math.nan if self.is_adversarial_pass else found

    model = small_model(shop)
    loss = FullSoftmax(facts=shop.facts())
    module = BreaksPerturbed(model, loss, AdamWOptions(), validation_metrics, Path(), adversarial=FGM())
    with pytest.raises(PerturbationError, match=r"must be finite, got nan at step 0 .* lower adversarial\.size"):
        trainer_of().fit(module, small_loader(shop, model))


# The pure functions.


def test_radii_of_rows_and_sequences() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert radii(rows).tolist() == [[3.0]]
    sequences = torch.zeros(2, 4, 2)
    sequences[0, :4, 0] = 2.0
    sequences[1, 0, 1], sequences[1, 1:] = 7.0, 100.0  # padding from the second on
    is_padding = torch.tensor([[False] * 4, [False, True, True, True]])
    assert radii(sequences, is_padding).flatten().tolist() == pytest.approx([3.0 * 2.0, 3.0])
    assert radii(sequences[:1]).flatten().tolist() == pytest.approx([4.0])


def test_unit_of_large_small_and_broken_gradients() -> None:
    gradient = torch.tensor([[3e-30, 4e-30], [3e30, 4e30], [0.0, 0.0], [math.inf, 1.0], [math.nan, 1.0]])
    expected = [[0.6, 0.8], [0.6, 0.8], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    torch.testing.assert_close(unit(gradient), torch.tensor(expected))


def test_projection_keeps_what_is_inside_and_shortens_what_is_not() -> None:
    delta = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    expected = torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]])
    torch.testing.assert_close(project(delta, torch.ones(1, 1)), expected)
    moved = ascend(expected, torch.tensor([[0.0, -9.0], [0.0, 2.0], [0.0, 0.0]]), torch.tensor(0.5), torch.ones(1, 1))
    torch.testing.assert_close(moved, torch.tensor([[0.6, 0.3], [0.3, 0.9], [0.0, 0.0]]))
    assert ascend(delta, None, torch.tensor(0.5), torch.ones(1, 1)) is delta


@pytest.mark.parametrize("shape", [(50, 8), (50, 3, 8)])
def test_random_starts_lie_inside_and_directions_on_the_ball(shape: tuple[int, ...]) -> None:
    is_padding = torch.arange(3) > torch.arange(50)[:, None] % 3 if len(shape) == 3 else None
    radius = torch.full((50, *[1] * (len(shape) - 1)), 2.0)
    start = random_start(torch.Size(shape), radius, is_padding, torch.Generator().manual_seed(0))
    norms = block_norms(start) / radius
    assert norms.max() < 1.0
    assert norms.mean() == pytest.approx(3**-0.5, abs=0.05)
    direction = random_unit(torch.Size(shape), is_padding, torch.Generator().manual_seed(0))
    torch.testing.assert_close(block_norms(direction), torch.ones_like(radius))
    if is_padding is not None:
        assert start[is_padding].eq(0).all()
        assert direction[is_padding].eq(0).all()


def test_divergence_by_hand_and_at_its_minimum() -> None:
    clean = torch.tensor([[0.0, math.log(3.0), -math.inf], [1.0, 1.0, 1.0]])
    other = torch.tensor([[0.0, 0.0, -math.inf], [2.0, 2.0, 2.0]], requires_grad=True)
    expected = (0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)) / 2  # the second request's is 0
    found = divergence(clean, other)
    assert found.item() == pytest.approx(expected, rel=1e-6)
    found.backward()
    assert other.grad.isfinite().all()
    same = clean.clone().requires_grad_()
    at_minimum = divergence(clean, same)
    at_minimum.backward()
    assert at_minimum.item() == 0.0
    torch.testing.assert_close(same.grad, torch.zeros(2, 3))


def test_power_iteration_finds_the_largest_eigenvector() -> None:
    half = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    hessian = half @ half.T
    values, vectors = torch.linalg.eigh(hessian)
    start = unit(torch.ones(1, 6))
    (found,) = power_iteration([start], [torch.tensor(0.01)], 60, lambda d: [d[0] @ hessian])
    assert abs(float(found @ vectors[:, -1])) == pytest.approx(1.0, abs=1e-4)
    assert values[-1] / values[-2] > 1.1
    (kept,) = power_iteration([start], [torch.tensor(0.01)], 1, lambda d: [torch.zeros(1, 6)])
    assert torch.equal(kept, start)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
