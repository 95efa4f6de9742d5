import numpy as np
import pytest
import torch

from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.data.datasets.complete_journey import CompleteJourney
from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import prepare
from seasonrec.evaluation.baselines.components import PersonalComponents, PopularityComponents
from seasonrec.evaluation.baselines.fitter import BaselineFitter
from seasonrec.evaluation.baselines.fitting import BASELINES, fit_baselines
from seasonrec.evaluation.baselines.mixture import fit_mixture, mix
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import evaluate
from seasonrec.evaluation.results.store import summarise
from seasonrec.evaluation.results.targets import RankedEvents


def test_every_baseline_gives_probabilities_of_all_items(shop):
    requests = shop.some_requests(8)
    baselines = fit_baselines(shop.log, shop.spec, shop.split, Protocol())
    assert [baseline.name for baseline in baselines] == list(BASELINES)
    for baseline in baselines:
        total = baseline.score(requests).exp().sum(1)
        torch.testing.assert_close(total, torch.ones(8), atol=1e-4, rtol=0)


def test_window_counts_the_days_before_the_request_and_not_its_own(shop):
    requests = shop.some_requests(5)
    shares = PopularityComponents(shop.log).window(requests, 7)
    counts = PopularityComponents(shop.log).counts
    before = counts.before(np.arange(counts.num_days + 1))
    for row, day in enumerate(counts.known_days(requests)):
        week = before[day] - before[day - 7]
        assert week.sum() > 0
        assert week[shares[row].argmax()] == week.max()
        assert shares[row].argsort()[-5:].tolist() == np.lexsort((before[day], week))[-5:].tolist()


def test_personal_shares_follow_the_users_own_counts(shop):
    requests = shop.some_requests(6)
    count, *_ = PersonalComponents(shop.log, shop.spec, (7.0,)).shares(requests)
    for row in range(6):
        events = slice(*shop.log.user_offsets[requests.users[row] : requests.users[row] + 2])
        known = shop.log.event_times_s[events] < requests.times_s[row]
        own = np.bincount(shop.log.event_items[events][known], minlength=shop.log.num_items)
        torch.testing.assert_close(count[row], torch.from_numpy(own / max(own.sum(), 1)).float())


def test_mixture_weights_are_those_of_greatest_likelihood():
    draw = np.random.default_rng(0)
    components = torch.from_numpy(draw.dirichlet(np.ones(5), size=2))  # two distributions over five items
    truth = mix([components[0], components[1]], torch.tensor([0.3, 0.7]))
    targets = torch.from_numpy(draw.choice(5, size=20_000, p=truth.numpy() / truth.sum().item()))
    weights = fit_mixture(components[:, targets].T)
    grid = torch.linspace(0.01, 0.99, 99, dtype=torch.double)
    likelihood = [(w * components[0, targets] + (1 - w) * components[1, targets]).log().mean() for w in grid]
    assert abs(weights[0].item() - grid[int(torch.stack(likelihood).argmax())].item()) < 0.02
    assert weights.sum().item() == pytest.approx(1.0)


def test_last_year_is_left_out_where_the_log_has_none(tmp_path):
    source = Synthetic(num_users=20, num_items=20, num_days=200)
    log = prepare(source, tmp_path, progress=lambda line: None)
    split = TimeSplit().resolve(log)
    names = [baseline.name for baseline in fit_baselines(log, spec_of(log, split), split, Protocol())]
    assert names == [name for name in BASELINES if name != "last_year"]


def test_known_figures_of_complete_journey(tmp_path):
    """Published weekly counts gave .1135/.0635 and .1142/.0639; these counts move by day and merge duplicate lines."""
    log = prepare(CompleteJourney(), tmp_path, progress=lambda line: None)
    split = TimeSplit(train_from="2017-01-02", validation_from="2017-10-02", test_from="2017-11-06").resolve(log)
    popular, fitter = PopularityComponents(log), BaselineFitter(log, split, Protocol())
    for days, hit_rate, ndcg in ((None, 0.1135, 0.0635), (28, 0.1142, 0.0639)):
        baseline = fitter.single("popular", lambda requests, days=days: popular.window(requests, days))
        frame = evaluate(baseline, log, split, Protocol(), show_progress=False)
        values = summarise(RankedEvents.of(frame), (10,))["all"]
        assert values["hr@10"] == pytest.approx(hit_rate, abs=0.001)
        assert values["ndcg@10"] == pytest.approx(ndcg, abs=0.0005)
