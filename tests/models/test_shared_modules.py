"""Tests of the modules that the models of two domains share, and of those that stay their own."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hashed_reader import HashedReader
from small_shop import Shop
from torch import nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.batches.mixing import of_domain
from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import prepare
from seasonrec.models.backbone.sasrec import SASRec
from seasonrec.models.domain_sharing import own_parameters, share
from seasonrec.models.habit.none import NoHabit
from seasonrec.models.habit.replenishment import ReplenishmentHabit
from seasonrec.models.head.next_item import NextItemHead
from seasonrec.models.item_encoder import tuned_text as tuned
from seasonrec.models.item_encoder.id import IdItems
from seasonrec.models.item_encoder.id_text import IdTextItems
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.season.calendar import CalendarSeason
from seasonrec.models.temporal.gru import GRUTemporal
from seasonrec.models.temporal.moving_average import MovingAverageTemporal
from seasonrec.models.temporal.none import NoTemporal
from seasonrec.models.temporal.transformer_time import TransformerTime
from seasonrec.training.loss.full_softmax import FullSoftmax
from seasonrec.training.module import RecommenderModule
from seasonrec.training.optimizer import AdamWOptions

PARTS: dict[str, Any] = {
    "item_encoder": IdTextItems,
    "backbone": partial(SASRec, num_layers=1),
    "temporal": GRUTemporal,
    "season": {"calendar": CalendarSeason},
    "habit": ReplenishmentHabit,
    "head": NextItemHead,
}


@pytest.fixture(scope="module")
def other_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Opens a shop with another catalogue, other users and another time zone."""
    cache_dir = tmp_path_factory.mktemp("other")
    log = prepare(Synthetic(num_users=10, num_items=22, num_days=400), cache_dir, progress=lambda line: None)
    log = replace(log, timezone="Asia/Tokyo")
    split = TimeSplit().resolve(log)
    return Shop(log, split, spec_of(log, split), cache_dir)


@dataclass
class Pair:
    main: SeasonalRecommender
    other: SeasonalRecommender
    shared: tuple[str, ...]


@pytest.fixture
def make(shop: Shop, other_shop: Shop) -> Iterator[Any]:
    def made(**parts: Any) -> Pair:
        torch.manual_seed(0)
        main = SeasonalRecommender(**(PARTS | parts), facts=shop.facts())
        other = SeasonalRecommender(**(PARTS | parts), facts=other_shop.facts())
        return Pair(main, other, share(main, other))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seasonrec.models.item_encoder.text.TextReader", HashedReader)
        patch.setattr("seasonrec.models.item_encoder.tuned_text.TextReader", HashedReader)
        yield made


def batch_of(shop: Shop, contexts: dict[str, Context]) -> SequenceBatch:
    options = LoaderOptions(batch_size=40)
    return next(
        iter(TrainingLoader(shop.builder(contexts), shop.split.train_baskets(shop.log), options, ROLLING, seed=2))
    )


def test_shared_modules_are_the_same_objects(make: Any) -> None:
    pair = make()
    main, other = pair.main, pair.other
    assert pair.shared == ("start", "backbone", "temporal", "item_encoder.text.project")
    assert other.backbone is main.backbone
    assert other.temporal is main.temporal
    assert other.start is main.start
    assert other.item_encoder.text.project is main.item_encoder.text.project
    for part in ("season", "habit", "head", "item_encoder"):
        assert getattr(other, part) is not getattr(main, part)
    assert other.item_encoder.id.vectors.weight.shape != main.item_encoder.id.vectors.weight.shape
    assert len(other.item_encoder.text.text_vectors[0]) == 22, "it keeps its own texts"


def test_own_weights_are_the_weights_that_are_not_shared(make: Any) -> None:
    pair = make()
    names = {name.partition(".")[0] for name in own_parameters(pair.main, pair.other)}
    assert names == {"item_encoder", "season", "habit", "head"}
    assert [name for name in own_parameters(pair.main, pair.other) if "project" in name] == []
    every = {id(p) for p in pair.main.parameters()} | {id(p) for p in pair.other.parameters()}
    both = nn.ModuleList([pair.main, pair.other])
    assert len(list(both.parameters())) == len(every), "an optimiser sees each shared weight once"


def test_items_without_text_share_only_the_backbone(make: Any) -> None:
    pair = make(item_encoder=IdItems, temporal=NoTemporal)
    assert pair.shared == ("start", "backbone")
    assert pair.other.backbone is pair.main.backbone


def test_a_tuned_language_model_is_shared_with_its_wrappers(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:

    class Wrapped(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner
            self.project = nn.Linear(2, 2)  # the same name inside a language model is not the projection

    monkeypatch.setattr(tuned, "load_model", lambda name: nn.Linear(3, 3))
    monkeypatch.setattr(tuned.TunedTextItems, "_tokenize", lambda self, reader, texts: None)
    first, second = (make(item_encoder=tuned.TunedTextItems).main for _ in range(2))
    first.item_encoder.language_model = Wrapped(first.item_encoder.language_model)
    shared = share(first, second)
    assert shared[-2:] == ("item_encoder.language_model", "item_encoder.project")
    assert second.item_encoder.language_model is first.item_encoder.language_model
    assert second.item_encoder.project is first.item_encoder.project
    assert second.item_encoder.as_loaded is not first.item_encoder.as_loaded


def test_weights_of_the_module_itself_are_shared(make: Any) -> None:
    pair = make(temporal=MovingAverageTemporal)
    assert pair.other.temporal is pair.main.temporal


def test_a_time_zone_stays_that_of_its_own_data(make: Any, shop: Shop, other_shop: Shop) -> None:
    pair = make(temporal=TransformerTime)
    main, other = pair.main.temporal, pair.other.temporal
    assert {id(p) for p in other.parameters()} == {id(p) for p in main.parameters()}
    assert other.blocks is main.blocks
    assert other.clock is not main.clock
    evening = torch.tensor([1_490_000_000])
    alone = TransformerTime(facts=other_shop.facts())
    assert torch.equal(other.clock(evening), alone.clock(evening))
    assert not torch.equal(other.clock(evening), main.clock(evening)), "Monday in one zone, Tuesday in the other"
    assert "temporal.calendar" in pair.shared
    assert not [name for name in pair.shared if "clock" in name]


def module_of(pair: Pair, shops: tuple[Shop, Shop], run_dir: Path) -> RecommenderModule:
    losses = [FullSoftmax(facts=data.facts()) for data in shops]
    domains = {"other": (pair.other, losses[1])}
    made = RecommenderModule(pair.main, losses[0], AdamWOptions(), _no_metrics, run_dir, domains=domains)
    made.log = lambda *arguments, **options: None  # type: ignore[method-assign]  # there is no trainer
    return made


@pytest.fixture
def module(make: Any, shop: Shop, other_shop: Shop, tmp_path: Path) -> RecommenderModule:
    return module_of(make(), (shop, other_shop), tmp_path)


def _no_metrics(scores: torch.Tensor, batch: SequenceBatch) -> dict[str, torch.Tensor]:
    return {}


def gradients_of(module: RecommenderModule, batch: SequenceBatch) -> set[str]:
    """Returns the names of the weights with a gradient after a step on the batch."""
    module.zero_grad()
    module.training_step(batch, 0).backward()  # type: ignore[no-untyped-call]
    named = module.named_parameters(remove_duplicate=False)
    return {name for name, parameter in named if parameter.grad is not None and parameter.grad.any()}


def test_a_batch_trains_its_own_head_and_the_shared_weights(
    module: RecommenderModule, shop: Shop, other_shop: Shop
) -> None:
    """Checks that a batch of one domain trains the shared weights and its own head, but not the other head."""
    other = module.domains["other"]
    assert isinstance(other, SeasonalRecommender)
    by_main = gradients_of(module, batch_of(shop, module.model.contexts()))
    by_other = gradients_of(module, of_domain(batch_of(other_shop, other.contexts()), "other"))
    for moved, own, foreign in ((by_main, "model.", "domains.other."), (by_other, "domains.other.", "model.")):
        for part in ("head", "season", "habit", "item_encoder.id"):
            assert [name for name in moved if name.startswith(own + part)], part
            assert not [name for name in moved if name.startswith(foreign + part)], part
        for part in ("start", "backbone", "temporal", "item_encoder.text.project"):
            assert [name for name in moved if name.startswith(own + part)], part
            assert [name for name in moved if name.startswith(foreign + part)], part


@pytest.mark.parametrize("linear", [False, True])
def test_the_loss_of_a_domain_equals_that_of_its_own_model(
    make: Any, shop: Shop, other_shop: Shop, tmp_path: Path, linear: bool
) -> None:
    """Computes the mean over targets of -log softmax over the available items by hand."""
    pair = make(**({"season": {}, "habit": NoHabit} if linear else {}))
    other = pair.other.eval()
    assert other.scores_are_linear == linear
    batch = batch_of(other_shop, other.contexts())
    scores = other.mask_unavailable(other(batch), batch)
    chosen = scores.log_softmax(1)[batch.target_request, batch.target_items]
    step = module_of(pair, (shop, other_shop), tmp_path).training_step
    torch.testing.assert_close(step(of_domain(batch, "other"), 0), -chosen.mean())


def test_shared_gradients_add(module: RecommenderModule, shop: Shop, other_shop: Shop) -> None:
    other = module.domains["other"].eval()
    module.model.eval()
    assert isinstance(other, SeasonalRecommender)
    batches = (batch_of(shop, module.model.contexts()), of_domain(batch_of(other_shop, other.contexts()), "other"))
    weight = module.model.start
    apart = [torch.autograd.grad(module.training_step(batch, 0), weight)[0] for batch in batches]
    module.zero_grad()
    for batch in batches:
        module.training_step(batch, 0).backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, apart[0] + apart[1])
    assert max(float(gradient.abs().max()) for gradient in apart) > 0
