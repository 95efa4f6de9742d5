"""Tests of the variational autoencoder: divergence against torch, sampling in training, the mean in evaluation."""

import pytest
import torch
from small_shop import Shop
from small_windows import DAY_S, WIDTH, batch_of, shaken, some_batch, some_hidden
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from seasonrec.batches.facts import Facts
from seasonrec.models.components import at_requests
from seasonrec.models.temporal.vae import VAETemporal, gaussian_kl


@pytest.fixture(scope="module")
def facts(shop: Shop) -> Facts:
    return shop.facts(embedding_dim=WIDTH)


def normal(mean: Tensor, log_variance: Tensor) -> Independent:
    return Independent(Normal(mean, (0.5 * log_variance).exp()), 1)


def test_divergence_against_torch() -> None:
    draw = torch.Generator().manual_seed(0)
    of, to = ((torch.randn(9, 5, generator=draw), torch.randn(9, 5, generator=draw)) for _ in range(2))
    torch.testing.assert_close(gaussian_kl(of, to), kl_divergence(normal(*of), normal(*to)))
    assert torch.equal(gaussian_kl(of, of), torch.zeros(9))


@pytest.mark.parametrize("prior", ["standard", "learned"])
def test_penalty_is_beta_times_the_mean_divergence(prior: str, facts: Facts) -> None:
    batch = some_batch()
    module, hidden = shaken(VAETemporal(latent_dim=5, beta=0.3, prior=prior, facts=facts)), some_hidden(batch)
    states = module.recurrence(hidden, batch)
    posterior = normal(*module.posterior(states.after))
    expected = Independent(Normal(torch.zeros(5), torch.ones(5)), 1)
    if prior == "learned":
        expected = normal(*module.prior(torch.cat([states.before, states.gap], dim=1)))
    reading = module.train()(hidden, batch)
    assert list(reading.penalties) == ["kl"]
    torch.testing.assert_close(reading.penalties["kl"], 0.3 * kl_divergence(posterior, expected).mean())
    assert reading.penalties["kl"].shape == ()


def test_penalty_grows_with_the_progress_of_the_training(facts: Facts) -> None:
    batch = some_batch()
    module, hidden = shaken(VAETemporal(beta=0.3, annealing_share=0.4, facts=facts)).train(), some_hidden(batch)
    whole = module(hidden, batch).penalties["kl"].item()
    for progress, share in ((0.0, 0.0), (0.1, 0.25), (0.4, 1.0), (0.9, 1.0)):
        module.at_progress(progress)
        assert module(hidden, batch).penalties["kl"].item() == pytest.approx(share * whole, rel=1e-5)


def test_only_the_divergence_above_the_free_nats_is_penalised(facts: Facts) -> None:
    batch = some_batch()
    module, hidden = shaken(VAETemporal(beta=0.3, facts=facts)).train(), some_hidden(batch)
    nats = module(hidden, batch).penalties["kl"].item() / 0.3
    for free, paid in ((nats / 3, 2 * nats / 3), (2 * nats, 0.0)):
        module.free_nats = free
        module.zero_grad()
        penalty = module(hidden, batch).penalties["kl"]
        assert penalty.item() == pytest.approx(0.3 * paid, rel=1e-5)
        penalty.backward()
        assert bool(module.posterior.layers[-1].weight.grad.any()) == (paid > 0)


def test_evaluation_takes_the_mean_and_draws_no_random_numbers(facts: Facts) -> None:
    batch = some_batch()
    module, hidden = shaken(VAETemporal(facts=facts)), some_hidden(batch)
    state = torch.get_rng_state()
    reading = module(hidden, batch)
    assert torch.equal(torch.get_rng_state(), state)
    assert not reading.penalties
    mean, _ = module.posterior(module.recurrence(hidden, batch).after)
    torch.testing.assert_close(reading.query, at_requests(hidden, batch) + module.out(mean))


def test_training_samples_the_posterior_with_torchs_generator(facts: Facts) -> None:
    batch = batch_of([[0, DAY_S]], [(0, 2, 2 * DAY_S)] * 20_000)
    module, hidden = shaken(VAETemporal(latent_dim=WIDTH, facts=facts)), some_hidden(batch)
    with torch.no_grad():
        module.out.weight.copy_(torch.eye(WIDTH))
        module.out.bias.zero_()
        mean, log_variance = module.posterior(module.recurrence(hidden, batch).after)
        module.train()
        drawn, again = ((torch.manual_seed(seed), module(hidden, batch).query)[1] for seed in (3, 3))
        other = module(hidden, batch).query
    assert torch.equal(drawn, again)
    assert not torch.equal(drawn, other)
    states = drawn - at_requests(hidden, batch)
    assert (states.mean(0) - mean[0]).abs().max() < 0.05
    torch.testing.assert_close(states.var(0), log_variance[0].exp(), rtol=0.06, atol=0)


@pytest.mark.parametrize("prior", ["standard", "learned"])
def test_gradients_reach_every_weight_in_training(prior: str, facts: Facts) -> None:
    batch = some_batch()
    module, hidden = shaken(VAETemporal(prior=prior, facts=facts)).train(), some_hidden(batch)
    reading = module(hidden, batch)
    (reading.query.square().sum() + reading.penalties["kl"]).backward()
    assert all(bool(p.grad.any()) for p in module.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in module.parameters())


def test_without_a_penalty_only_the_sample_moves_the_log_variance(facts: Facts) -> None:
    batch = some_batch()
    module, hidden = shaken(VAETemporal(latent_dim=4, facts=facts)).train(), some_hidden(batch)
    module(hidden, batch).query.square().sum().backward()
    gradient = module.posterior.layers[-1].weight.grad
    assert gradient is not None
    assert gradient[:4].any()
    assert gradient[4:].any()


def test_a_beta_of_zero_gives_a_penalty_of_zero(facts: Facts) -> None:
    batch = some_batch()
    module = shaken(VAETemporal(beta=0.0, facts=facts)).train()
    assert not module(some_hidden(batch), batch).penalties["kl"].any()
