"""Tests of log-linear counters: the sum over items, the likelihood, and parameters that a generated log has."""

import pytest
import torch

from seasonrec.batches.context.shares import Shares
from seasonrec.evaluation.baselines.evidence import Evidence
from seasonrec.evaluation.baselines.likelihood import Observed, fit, log_likelihood
from seasonrec.evaluation.baselines.log_linear import LogLinear

DAYS, ITEMS, LIFTS, OWN, FEATURES = 4, 9, 2, 2, 2


def made_evidence(num_requests: int, seed: int = 0) -> Evidence:
    """Returns random evidence; a fifth of the requests has no history, the others have three own items.

    Items 7 and 8 have no sales. Item 7 is newborn in every second request; item 8 is no candidate.
    """
    draw = torch.Generator().manual_seed(seed)
    popular = torch.rand(DAYS, ITEMS, 1, generator=draw).square()
    popular[:, 7:] = 0.0
    born = torch.arange(num_requests) % 2 == 0
    items = torch.stack([torch.randperm(7 + int(one), generator=draw)[:3].sort().values for one in born])
    known = torch.arange(num_requests) % 5 > 0
    own = torch.rand(num_requests, 3, OWN, generator=draw)
    own = (own / own.sum(1, keepdim=True))[known].flatten(0, 1)
    counted = torch.zeros(DAYS, ITEMS, 2)
    counted[:, :7, 0] = 1.0
    shares = Shares(
        row=torch.randint(DAYS, (num_requests,), generator=draw),
        by_day=torch.cat([popular / popular.sum(1, keepdim=True), counted], dim=2),
        request=torch.arange(num_requests)[known].repeat_interleave(3),
        item=items[known].flatten(),
        own=own,
        newborn_request=born.nonzero().flatten(),
        newborn_item=torch.full((int(born.sum()),), 7),
        sizes=torch.stack([7.0 + born, 1.0 * born], dim=1),
    )
    return Evidence(
        shares,
        lifts=torch.randn(DAYS, ITEMS, LIFTS, generator=draw),
        features=torch.randn(len(own), FEATURES, generator=draw),
        user_baskets=known * torch.randint(1, 40, (num_requests,), generator=draw).float(),
    )


def a_model(by_history: bool) -> LogLinear:
    logits = torch.tensor([[0.6, 0.4, 0.0, -0.6, 0.8], [1.2, -0.5, 0.3, 0.0, -1.0]])
    edges = torch.tensor([10.0]) if by_history else torch.zeros(0)
    return LogLinear(edges, logits[: len(edges) + 1], lift=torch.tensor([0.8, -0.4]), own=torch.tensor([0.5, -0.3]))


def probabilities_by_loops(model: LogLinear, evidence: Evidence) -> torch.Tensor:
    rows, shares = [], evidence.shares
    for request, day in enumerate(shares.row.tolist()):
        weights = model.logits[int((model.edges <= evidence.user_baskets[request]).sum())].softmax(0)
        born = request % 2 == 0
        row = [float(shares.by_day[day, item, 0] * weights[2] + weights[3] / (7 + born)) for item in range(7)]
        row += [float(weights[3] / 8 + weights[4]) if born else 0.0, 0.0]
        for pair in (shares.request == request).nonzero().flatten().tolist():
            item = int(shares.item[pair])
            row[item] += float(shares.own[pair] @ weights[:OWN])
            row[item] *= float((evidence.features[pair] @ model.own).exp())
        values = torch.tensor(row) * (evidence.lifts[day] @ model.lift).exp()
        rows.append(values / values.sum())
    return torch.stack(rows)


@pytest.mark.parametrize("by_history", [False, True])
def test_probabilities_follow_the_formula_and_sum_to_one(by_history):
    evidence, model = made_evidence(40), a_model(by_history)
    found = model.log_probabilities(evidence).exp()
    torch.testing.assert_close(found, probabilities_by_loops(model, evidence), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(found.sum(1), torch.ones(40))


def test_the_likelihood_without_a_table_of_requests_is_that_of_the_table():
    evidence, model = made_evidence(40), a_model(by_history=True)
    table = model.log_probabilities(evidence)
    request, item = (table > -50).nonzero(as_tuple=True)
    assert len(request) == 40 * 7 + 20, "what is no candidate has no probability"
    observed = Observed.of(evidence, request, item)
    torch.testing.assert_close(log_likelihood(model, observed), table[request, item], atol=1e-5, rtol=1e-5)


def test_the_fit_recovers_the_parameters_that_generated_the_targets():
    evidence, truth = made_evidence(4_000), a_model(by_history=True)
    item = torch.multinomial(
        truth.log_probabilities(evidence).exp(), 20, replacement=True, generator=torch.Generator().manual_seed(1)
    )
    observed = Observed.of(evidence, torch.arange(4_000).repeat_interleave(20), item.flatten())
    start = LogLinear(truth.edges, torch.zeros_like(truth.logits), torch.zeros(LIFTS), torch.zeros(FEATURES))
    found = fit(observed, start, steps=60)
    torch.testing.assert_close(found.lift, truth.lift, atol=0.05, rtol=0)
    torch.testing.assert_close(found.own, truth.own, atol=0.05, rtol=0)
    torch.testing.assert_close(found.weights, truth.weights, atol=0.05, rtol=0)
    assert log_likelihood(found, observed).mean() >= log_likelihood(truth, observed).mean()


def test_a_log_without_any_history_has_no_pairs():
    evidence = made_evidence(1)  # the first request has none
    assert evidence.shares.own_pair(torch.tensor([0]), torch.tensor([3])).tolist() == [-1]
    start = LogLinear(torch.zeros(0), torch.zeros(1, 5), torch.zeros(LIFTS), torch.zeros(FEATURES))
    found = fit(Observed.of(evidence, torch.tensor([0, 0]), torch.tensor([3, 4])), start)
    assert torch.isfinite(found.log_probabilities(evidence)).all()
