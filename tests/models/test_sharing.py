"""Contract tests of every sharing module; MMoE and PLE against formulas written out for each task."""

from functools import cache, partial
from typing import Any

import pytest
import torch
from small_shop import Shop
from torch import Tensor, nn

from seasonrec.config import Composer, ConfTree, build, conf_dir
from seasonrec.models.sharing.mmoe import MMoE
from seasonrec.models.sharing.ple import PLE

OPTIONS = sorted(path.stem for path in (conf_dir() / "sharing").glob("*.yaml"))
TASKS = ("next_item", "purchase", "spend")
WIDTH = 16

every_option = pytest.mark.parametrize("option", OPTIONS)


@cache
def built(option: str) -> partial[Any]:
    return build(Composer(ConfTree.of()).compose([f"sharing={option}"]).sharing)


def sharing_of(shop: Shop, option: str, tasks: tuple[str, ...] = TASKS, away: bool = True, **more: Any) -> nn.Module:
    """Builds a sharing module with non-zero weights."""
    part: nn.Module = built(option)(**more, facts=shop.facts(), tasks=tasks)
    with torch.no_grad():
        for parameter in part.parameters():
            if away:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return part


@pytest.fixture
def query() -> Tensor:
    return torch.randn(7, WIDTH, generator=torch.Generator().manual_seed(0))


@every_option
def test_shape_and_identity_at_the_start(shop: Shop, option: str, query: Tensor) -> None:
    fresh = sharing_of(shop, option, away=False)
    for task in TASKS:
        assert torch.equal(fresh(query, task), query)
    moved = sharing_of(shop, option)(query, "purchase")
    assert moved.shape == query.shape
    assert torch.equal(moved, query) == (option == "hard")


@every_option
def test_a_request_alone_gives_the_same_query_as_in_a_batch_and_calls_are_independent(
    shop: Shop, option: str, query: Tensor
) -> None:
    part = sharing_of(shop, option)
    together = part(query, "spend")
    part(query + 1, "purchase")
    assert torch.equal(part(query, "spend"), together)
    torch.testing.assert_close(torch.cat([part(row[None], "spend") for row in query]), together)


@every_option
def test_every_weight_and_the_query_get_a_gradient(shop: Shop, option: str, query: Tensor) -> None:
    part = sharing_of(shop, option)
    query.requires_grad_()
    torch.stack([part(query, task) * torch.randn(WIDTH) for task in TASKS]).sum().backward()
    assert query.grad is not None
    assert query.grad.all()
    assert all(p.grad is not None and bool(p.grad.any()) for p in part.parameters())


@every_option
def test_an_untrained_sharing_learns(shop: Shop, option: str, query: Tensor) -> None:
    part = sharing_of(shop, option, away=False)
    if not list(part.parameters()):
        return
    optimizer = torch.optim.SGD(part.parameters(), lr=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        sum(part(query, task)[:, place].mean() for place, task in enumerate(TASKS)).backward()  # type: ignore[union-attr]
        optimizer.step()
    ends = [part(query, task) for task in TASKS]
    assert not torch.allclose(ends[0], ends[1])
    assert not torch.allclose(ends[0], query)


@every_option
def test_saved_weights_give_the_same_queries(shop: Shop, option: str, query: Tensor) -> None:
    part, other = sharing_of(shop, option), sharing_of(shop, option)
    other.load_state_dict(part.state_dict())
    assert torch.equal(other(query, "spend"), part(query, "spend"))


@every_option
def test_a_single_task_works(shop: Shop, option: str, query: Tensor) -> None:
    part = sharing_of(shop, option, tasks=("next_item",))
    part(query.requires_grad_(), "next_item").square().sum().backward()
    assert all(p.grad is not None for p in part.parameters())


@every_option
def test_bf16_autocast(shop: Shop, option: str, query: Tensor) -> None:
    part = sharing_of(shop, option)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = part(query, "spend")
    torch.testing.assert_close(narrow.float(), part(query, "spend"), rtol=0.05, atol=0.1)


def expert(experts: Any, place: int, row: Tensor) -> Tensor:
    """Computes the output of one expert for one query by hand."""
    inner = slice(place * WIDTH, (place + 1) * WIDTH)
    hidden = nn.functional.gelu(experts.inner.weight[inner] @ row + experts.inner.bias[inner])
    return hidden @ experts.outer[place]


def gated(gate: Any, row: Tensor, said: list[Tensor]) -> Tensor:
    powers = (gate.weight @ row).exp()
    return sum((power / powers.sum() * one for power, one in zip(powers, said, strict=True)), torch.zeros(WIDTH))


def test_mmoe_query_by_query(shop: Shop, query: Tensor) -> None:
    part = sharing_of(shop, "mmoe", num_experts=3)
    assert isinstance(part, MMoE)
    for task in TASKS:
        expected = [
            row + gated(part.gates[task], row, [expert(part.experts, place, row) for place in range(3)])
            for row in query
        ]
        torch.testing.assert_close(part(query, task), torch.stack(expected))


def test_ple_query_by_query(shop: Shop, query: Tensor) -> None:
    """Compares three levels, so that one of them lies between two others."""
    part = sharing_of(shop, "ple", num_levels=3, num_shared=2, num_own=2)
    assert isinstance(part, PLE)
    for task in TASKS:
        torch.testing.assert_close(part(query, task), torch.stack([ple_by_hand(part, row, task) for row in query]))


def ple_by_hand(part: PLE, row: Tensor, task: str) -> Tensor:
    own, shared = dict.fromkeys(TASKS, row), row
    for number, level in enumerate(part.levels):
        said = {name: [expert(level.experts[name], place, own[name]) for place in range(2)] for name in TASKS}
        common = [expert(level.experts["(shared)"], place, shared) for place in range(2)]
        after = {name: own[name] + gated(level.gates[name], own[name], said[name] + common) for name in TASKS}
        if number < 2:
            everything = [one for name in TASKS for one in said[name]] + common
            shared = shared + gated(level.gates["(shared)"], shared, everything)
        own = after
    return own[task]


def test_a_count_below_one_is_refused(shop: Shop) -> None:
    with pytest.raises(ValueError, match=r"sharing\.num_experts must be at least 1, got 0; try 4"):
        sharing_of(shop, "mmoe", num_experts=0)
    with pytest.raises(ValueError, match=r"sharing\.num_levels must be at least 1, got 0"):
        sharing_of(shop, "ple", num_levels=0)
