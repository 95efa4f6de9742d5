"""Contract tests of every component; a new file under models/ with its yaml is tested automatically."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from contract_cases import CASES, ROOM, SLOTS, Case, make_case, modules_of, part_of
from hashed_reader import HashedReader
from small_shop import Shop
from tiny_language_models import save_tiny

from seasonrec.batches.audit import replace_future
from seasonrec.batches.context.calendar import CalendarContext
from seasonrec.batches.requests import Requests
from seasonrec.batches.sampling import NegativeSampler
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.models.context_use import check_contexts, pick
from seasonrec.models.mixture.base import Mixture
from seasonrec.training.checkpointing.weights import load_weights, save_weights

every_part = pytest.mark.parametrize(("slot", "option"), CASES, ids=[f"{slot}={option}" for slot, option in CASES])


@pytest.fixture(scope="module")
def cases(shop: Shop, language_model_folder: Path) -> Iterator[dict[tuple[str, str], Case]]:
    kinds = {"minilm": "bert", "smollm2": "llama"}
    tiny = {name: save_tiny(kind, language_model_folder, layers=6) for name, kind in kinds.items()}
    with pytest.MonkeyPatch.context() as patch:
        for module in ("pretrained", "text_vectors"):
            patch.setattr(f"seasonrec.models.language.{module}.resolve", tiny.__getitem__)
        for user in ("item_encoder.text", "season.text", "demand.similarity"):
            patch.setattr(f"seasonrec.models.{user}.TextReader", HashedReader)
        yield {(slot, option): make_case(shop, slot, option) for slot, option in CASES}


@pytest.fixture
def case(cases: dict[tuple[str, str], Case], slot: str, option: str) -> Case:
    return cases[slot, option]


ADDED_BY_A_WALK = {"seasonrec.models.season.adapters.SeasonAdapters"}
"""Modules that ``adaptation=season_adapters`` adds to a trained model; no run begins with them."""


@pytest.mark.parametrize("slot", SLOTS)
def test_every_module_has_a_yaml(slot: str) -> None:
    modules = {f"{c.__module__}.{c.__qualname__}" for c in modules_of(slot)}
    parts = [part_of(slot, option) for s, option in CASES if s == slot]
    built = [(next(iter(part.values())) if slot == "season" else part).func for part in parts]
    targets = {f"{made.__module__}.{made.__qualname__}" for made in built}
    assert modules
    assert modules - ADDED_BY_A_WALK == targets


@every_part
def test_shape(case: Case) -> None:
    batch = case.training_batch()
    assert batch.num_requests > len(batch.item_ids)  # windows are shared
    scores = case.model(batch)
    assert scores.shape == (batch.num_requests, case.shop.log.num_items)
    assert scores.isfinite().all()


@every_part
def test_events_after_the_request_position_do_not_matter(case: Case) -> None:
    batch = case.training_batch()
    position, window = batch.request_position, batch.request_window
    request = int((position + 3 <= (~batch.is_padding).sum(1)[window]).nonzero()[0])
    later = torch.arange(batch.item_ids.shape[1]) >= position[request]
    row = later & (torch.arange(len(batch.item_ids))[:, None] == window[request]) & ~batch.is_padding  # (B, T)
    items = torch.where(row, (batch.item_ids + 11) % case.shop.log.num_items, batch.item_ids)
    other = replace(batch, item_ids=items, timestamps_s=batch.timestamps_s + 86_400 * row)
    assert not torch.equal(items, batch.item_ids)
    torch.testing.assert_close(case.model(other)[request], case.model(batch)[request], rtol=0, atol=1e-5)


@every_part
def test_future_of_the_log_does_not_matter(case: Case) -> None:
    log = case.shop.log
    requests = case.shop.some_requests(20)
    moment = int(requests.known_until_s.max())
    changed = replace(case.shop, log=replace_future(log, moment))
    before, after = case.model(case.batch(requests)), case.model(Case(case.model, case.part, changed).batch(requests))
    assert torch.equal(before, after)


@every_part
def test_scores_of_a_sample_equal_those_of_the_whole_catalogue(case: Case) -> None:
    if isinstance(case.model.mixture, Mixture):
        pytest.skip("samples are for training, in which nothing is mixed")
    requests = case.shop.some_requests(9)
    builder = case.shop.builder(case.model.contexts())
    sampler = NegativeSampler.of(np.ones(case.shop.log.num_items), 6, 0.0)
    batch = builder(requests, sampler=sampler, random=np.random.default_rng(0))
    assert batch.sample is not None
    assert len(batch.sample.item_ids) < case.shop.log.num_items
    whole = case.model(builder(requests))[:, batch.sample.item_ids]
    torch.testing.assert_close(case.model(batch), whole, rtol=0, atol=1e-5)


@every_part
def test_padding_does_not_matter(case: Case) -> None:
    batch = case.training_batch()
    length, vocabulary = len(batch.item_ids), case.shop.log.num_items
    padded = replace(
        batch,
        item_ids=torch.cat([batch.item_ids, torch.full((length, ROOM), vocabulary)], 1),
        timestamps_s=torch.cat([batch.timestamps_s, torch.zeros(length, ROOM, dtype=torch.int64)], 1),
        is_padding=torch.cat([batch.is_padding, torch.ones(length, ROOM, dtype=torch.bool)], 1),
        behaviours=batch.told(lambda told: torch.cat([told, told.new_zeros(length, ROOM)], 1)),
    )
    rubbish = replace(
        padded,
        item_ids=torch.where(padded.is_padding, 5, padded.item_ids),
        behaviours=padded.told(lambda told: torch.where(padded.is_padding, 2, told)),
    )
    expected = case.model(batch)
    torch.testing.assert_close(case.model(padded), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(case.model(rubbish), expected, rtol=0, atol=1e-4)


@every_part
def test_request_alone_scores_as_in_a_batch(case: Case) -> None:
    requests = case.shop.some_requests(9)
    together = case.model(case.batch(requests))
    alone = torch.cat([case.model(case.batch(requests[row : row + 1])) for row in range(9)])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-4)


@every_part
def test_every_trained_weight_of_the_component_gets_a_gradient(case: Case) -> None:
    case.model.zero_grad()
    scores = case.model(case.training_batch())
    (scores * torch.randn_like(scores)).sum().backward()
    trained = {name: p for name, p in case.part.named_parameters() if p.requires_grad}
    assert not [name for name, parameter in trained.items() if parameter.grad is None]
    assert not trained or any(bool(p.grad.any()) for p in trained.values() if p.grad is not None)


@pytest.mark.parametrize("option", [option for slot, option in CASES if slot == "backbone"])
def test_gradients_reach_only_the_past(cases: dict[tuple[str, str], Case], option: str) -> None:
    case = cases["backbone", option]
    batch = case.batch(case.shop.some_requests(6))
    inputs = torch.randn(6, batch.item_ids.shape[1] + 1, 16, requires_grad=True)
    hidden = case.part(inputs, torch.cat([torch.zeros(6, 1, dtype=torch.bool), batch.is_padding], 1))
    assert hidden.shape == inputs.shape
    middle = 3
    (hidden[:, middle] * torch.randn(16)).sum().backward()
    assert inputs.grad is not None
    reached = inputs.grad.abs().sum(-1) > 0  # (B, T + 1)
    assert not reached[:, middle + 1 :].any()
    assert reached[:, 0 if option == "none" else middle].all()
    assert reached[:, 1].all() == (option != "none")


@pytest.mark.parametrize("option", [option for slot, option in CASES if slot == "temporal"])
def test_gradients_of_a_request_reach_only_its_own_past(cases: dict[tuple[str, str], Case], option: str) -> None:
    case = cases["temporal", option]
    batch = case.training_batch()
    inputs = torch.randn(len(batch.item_ids), batch.item_ids.shape[1] + 1, 16, requires_grad=True)
    query = case.part(inputs, batch).query
    assert query.shape == (batch.num_requests, 16)
    length = (~batch.is_padding).sum(1)[batch.request_window]
    request = int(((batch.request_position >= 3) & (batch.request_position < length)).nonzero()[0])
    (query[request] * torch.randn(16)).sum().backward()
    assert inputs.grad is not None
    reached = inputs.grad.abs().sum(-1) > 0  # (B, T + 1)
    window, position = int(batch.request_window[request]), int(batch.request_position[request])
    assert not reached[window, position + 1 :].any()
    assert not reached[torch.arange(len(reached)) != window].any()
    assert reached[window, position]
    assert option != "none" or not reached[window, position - 1]


@every_part
def test_gradients_are_summed_in_a_fixed_order(case: Case, slot: str) -> None:
    """Checks that no gradient is that of ``x[index]``, which sums rows in the order of the threads.

    ``F.embedding`` sums them in a fixed order. The habit may index, because its pairs are unique, and a mixture (which
    reads the demand), because no training step runs it.
    """
    nodes, names = [case.model(case.training_batch()).grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in names:
            names.add(node)
            nodes += [following for following, _ in node.next_functions]
    indexed = [node.name() for node in names if node.name() == "IndexBackward0"]
    assert not indexed or slot in ("habit", "mixture", "demand"), (
        "the gradient of x[index] is summed in another order in each run; write at_requests(hidden, batch) from "
        "seasonrec.models.components for the requests' positions, F.embedding(index, x) elsewhere"
    )


@every_part
def test_saved_weights_give_the_same_scores(case: Case, slot: str, option: str, tmp_path: Path) -> None:
    save_weights(tmp_path / "model.safetensors", case.model)
    other = make_case(case.shop, slot, option, seed=1)
    batch = case.batch(case.shop.some_requests(5))
    if any(p.requires_grad for p in case.model.parameters()):
        assert not torch.equal(other.model(batch), case.model(batch))
    load_weights(tmp_path / "model.safetensors", other.model)
    assert torch.equal(other.model(batch), case.model(batch))


@every_part
def test_bf16_autocast(case: Case) -> None:
    batch = case.training_batch()
    with torch.autocast("cpu", torch.bfloat16):
        scores = case.model(batch)
    assert scores.isfinite().all()
    torch.testing.assert_close(scores.float(), case.model(batch), rtol=0.05, atol=0.25)
    with torch.autocast("cpu", torch.bfloat16):
        case.model(batch).float().square().mean().backward()
    case.model.zero_grad()


@every_part
def test_contexts_are_read_as_declared(case: Case) -> None:
    modes = [module.training for module in case.model.modules()]
    state = torch.get_rng_state()
    check_contexts(case.model, case.training_batch())
    assert [module.training for module in case.model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("option", [option for slot, option in CASES if slot == "habit"])
@pytest.mark.parametrize("sampled", [False, True])
def test_a_habit_leaves_the_given_scores_as_they_are(
    cases: dict[tuple[str, str], Case], option: str, sampled: bool
) -> None:
    case = cases["habit", option]
    sampler = NegativeSampler.of(np.ones(case.shop.log.num_items), 6, 0.0) if sampled else None
    builder = case.shop.builder(case.model.contexts())
    batch = builder(case.shop.some_requests(9), sampler=sampler, random=np.random.default_rng(0))
    items = case.model.read(batch).items
    given = torch.randn(batch.num_requests, len(items.vectors))
    kept = given.clone()
    case.part(given, items, pick(batch, case.part))
    assert torch.equal(given, kept), "the habit writes into its scores; use index_put in place of index_put_ or +="


def two_dates(shop: Shop) -> Requests:
    """Returns a weekend far from any holiday and a weekday of another month near one, with the same history."""
    log = shop.log
    gaps = (log.basket_times_s[1:] - log.basket_times_s[:-1]) * (log.basket_users[1:] == log.basket_users[:-1])
    for basket in (-gaps * (log.basket_times_s[1:] > shop.split.validation_from_s)).argsort():
        times_s = np.arange(log.basket_times_s[basket] + 3600, log.basket_times_s[basket + 1], SECONDS_PER_DAY)
        users, none = np.full(len(times_s), log.basket_users[basket]).astype(np.int64), np.full(len(times_s), -1)
        requests = Requests(users, times_s, times_s, none)
        calendar = CalendarContext().bind(log, shop.spec)(requests)
        near, is_weekend = calendar.holiday_days.abs().amin(1), calendar.weekday >= 5
        month = torch.from_numpy(times_s.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64))
        first, second = is_weekend & (near > 7), ~is_weekend & (near <= 1)
        pairs = (first[:, None] & second & (month[:, None] != month)).nonzero()
        if len(pairs):
            return requests[pairs[0].numpy()]
    raise AssertionError("the shop has no such two dates")


@pytest.mark.parametrize("option", [option for slot, option in CASES if slot == "season"])
def test_two_dates_give_two_rankings(cases: dict[tuple[str, str], Case], option: str) -> None:
    """Ranks for one user with one history, at two times between the same two purchases."""
    case = cases["season", option]
    requests = two_dates(case.shop)
    first, second = case.model(case.batch(requests)).argsort(dim=1, descending=True)
    assert not torch.equal(first, second), (
        f"season={option} ranks alike on {' and '.join(map(str, requests.times_s.astype('datetime64[s]')))}, which "
        "differ in weekend, month and holiday; a season reads the request's time through a context in its `reads`"
    )
