"""Every balancing in a trainer against a plain loop: with clipping, accumulation, bf16, and resume."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from balancing_by_hand import BATCHES, REFERENCES, module_of, nearest_harmless, train, train_by_hand, weights_of
from small_runs import Curve, Killed, small_model, small_run
from small_shop import Shop
from small_tasks import SMALL_TASKS

from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.config import Composer, ConfTree, build, conf_dir
from seasonrec.evaluation.ranking.scorers import validation_metrics
from seasonrec.models.habit.none import NoHabit
from seasonrec.models.task.contrastive import ContrastiveHead
from seasonrec.models.task.search import SearchHead
from seasonrec.models.temporal.none import NoTemporal
from seasonrec.training.adversarial.fgm import FGM
from seasonrec.training.balancing.base import GradientBalancing, SeveralTasks
from seasonrec.training.balancing.dwa import DynamicWeightAverage
from seasonrec.training.balancing.fixed import FixedBalancing
from seasonrec.training.balancing.gradients import TaskGradients
from seasonrec.training.balancing.gradnorm import GradNorm
from seasonrec.training.balancing.mgda import MGDA
from seasonrec.training.balancing.pcgrad import PCGrad
from seasonrec.training.balancing.support import GradientBalancingCheck
from seasonrec.training.balancing.uncertainty import UncertaintyBalancing
from seasonrec.training.balancing.upgrad import UPGrad, harmless
from seasonrec.training.fit import TrainerOptions
from seasonrec.training.loss.full_softmax import FullSoftmax
from seasonrec.training.module import RecommenderModule
from seasonrec.training.objective import Objective
from seasonrec.training.optimizer import AdamWOptions

OPTIONS = sorted(path.stem for path in (conf_dir() / "balancing").glob("*.yaml"))
BY_GRADIENTS = ("cagrad", "mgda", "pcgrad", "upgrad")

SHORT = TrainerOptions(max_epochs=3, checkpoint_every_steps=2)
PLAIN_PARTS = {"temporal": NoTemporal, "season": {}, "habit": NoHabit}

every_option = pytest.mark.parametrize("option", OPTIONS)


@cache
def composer() -> Composer:
    return Composer(ConfTree.of())


@cache
def balancing_of(option: str) -> Callable[..., Any]:
    if option == "cagrad":
        pytest.importorskip("cvxpy")
    return build(composer().compose([f"balancing={option}", "task=[demand,purchase]"]).balancing)


def largest_difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    assert one.keys() == other.keys()
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def test_every_option_has_a_reference() -> None:
    assert set(OPTIONS) == set(REFERENCES)


@pytest.mark.parametrize(("accumulate", "clip"), [(1, None), (2, 0.7)], ids=["plain", "gathered and clipped"])
@every_option
def test_training_is_that_of_the_plain_loop(option: str, accumulate: int, clip: float | None, tmp_path: Path) -> None:
    """Trains with five batches per epoch, so that the last step of two accumulated batches holds one."""
    module = module_of(balancing_of(option), tmp_path)
    train(module, 3, accumulate, clip)
    expected = train_by_hand(REFERENCES[option](), 3, accumulate, clip)
    tolerance = 1e-5 if option == "cagrad" else 1e-9  # its solver stops there
    assert largest_difference(weights_of(module), expected) < tolerance
    if option != "fixed":
        plain = train_by_hand(REFERENCES["fixed"](), 3, accumulate, clip)
        assert largest_difference(expected, plain) > 100 * tolerance  # the case is one in which the method matters


@every_option
def test_bf16_mixed_is_near(option: str, tmp_path: Path) -> None:
    module = module_of(balancing_of(option), tmp_path).float()
    train(module, 1, 1, None, precision="bf16-mixed")
    expected = train_by_hand(REFERENCES[option](), 1, 1, None)
    assert largest_difference(weights_of(module), expected) < 0.03
    assert all(weight.dtype == torch.float32 for weight in module.parameters())


@pytest.mark.parametrize("seed", range(20))
def test_harmless_is_the_nearest_vector_that_works_against_no_task(seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(4, 6)) if seed % 2 else draw.normal(size=(4, 3))  # more tasks than directions, too
    weights = draw.uniform(0, 1, size=4)
    found = rows.T @ harmless(weights, rows @ rows.T)
    np.testing.assert_allclose(found, nearest_harmless(rows.T @ weights, rows), atol=1e-6)


def test_upgrad_of_many_tasks_adds_up_what_harms_none() -> None:
    rows = np.random.default_rng(4).normal(size=(4, 6))
    tasks = ("a", "b", "c", "d")
    found = UPGrad(tasks=tasks).coefficients(torch.ones(4), torch.from_numpy(rows @ rows.T)).shared
    expected = sum(nearest_harmless(row, rows) for row in rows)
    np.testing.assert_allclose(rows.T @ found.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("option", BY_GRADIENTS)
def test_gradients_of_any_length_are_added_up_alike(option: str) -> None:
    rows = torch.tensor([[3.0, 0.1], [-1.0, 1.0]], dtype=torch.float64)
    balancing = balancing_of(option)(tasks=("next_item", "spend"))
    usual = balancing.coefficients(torch.ones(2), rows @ rows.T).shared
    short = balancing.coefficients(torch.ones(2), 1e-12 * rows @ rows.T).shared
    assert not torch.allclose(usual, torch.ones(2).double(), atol=1e-3)
    torch.testing.assert_close(short, usual, rtol=0, atol=1e-4)


@pytest.mark.parametrize("option", [*BY_GRADIENTS, "gradnorm"])
def test_a_task_that_says_nothing_stops_nobody(option: str) -> None:
    rows = torch.tensor([[3.0, 0.1], [0.0, 0.0], [-1.0, 1.0]], dtype=torch.float64)
    three = balancing_of(option)(tasks=("next_item", "spend", "purchase"))
    two = balancing_of(option)(tasks=("next_item", "purchase"))
    losses = torch.tensor([2.0, 0.0, 3.0])
    found = three.coefficients(losses, rows @ rows.T)
    expected = two.coefficients(losses[[0, 2]], rows[[0, 2]] @ rows[[0, 2]].T)
    torch.testing.assert_close(rows.T @ found.shared, rows[[0, 2]].T @ expected.shared, rtol=0, atol=1e-5)


@pytest.mark.parametrize("option", BY_GRADIENTS)
def test_tasks_that_agree_add_up_as_with_fixed(option: str) -> None:
    rows = torch.tensor([[1.0, 2.0, 2.0], [2.0, 1.0, 2.0]], dtype=torch.float64)
    found = balancing_of(option)(tasks=("next_item", "spend")).coefficients(torch.ones(2), rows @ rows.T).shared
    step = rows.T @ found
    assert float(step.norm()) == pytest.approx(float(rows.sum(0).norm()), rel=0.5 if option == "cagrad" else 1e-4)
    assert float(torch.cosine_similarity(step, rows.sum(0), dim=0)) == pytest.approx(1, abs=1e-4)


def test_gradients_that_are_no_numbers_are_told() -> None:
    with pytest.raises(FloatingPointError, match=r"tasks next_item, spend must be finite, got .*lower optimizer"):
        PCGrad(tasks=("next_item", "spend")).coefficients(torch.ones(2), torch.full((2, 2), torch.nan))


def test_the_rows_leave_the_gradients_alone_and_know_whom_a_weight_serves() -> None:
    shared, own, frozen = (torch.nn.Parameter(torch.tensor([2.0, 1.0])) for _ in range(3))
    frozen.requires_grad_(False)
    losses = [(shared * 3).sum(), (shared**2 * own).sum()]
    found = TaskGradients.of(losses, [shared, own, frozen], keep_graph=False)
    assert found.rows[0][1] is None
    assert shared.grad is None
    torch.testing.assert_close(found.gramian(), torch.tensor([[18.0, 30.0], [30.0, 68.0]]).double())


# --- in the module ---------------------------------------------------------------------------------------------------


def four_batches(shop: Shop, model: Any, seed: int) -> TrainingLoader:
    baskets = shop.split.train_baskets(shop.log)
    loader = TrainingLoader(shop.builder(model.contexts()), baskets, LoaderOptions(batch_size=200), ROLLING, seed)
    assert len(loader) == 4
    return loader


def killed_in_the_second_epoch(shop: Shop, run_dir: Path, **options: Any) -> Any:
    curve = Curve()

    def stop(met: tuple[str, int, int]) -> None:
        if met == ("batch_start", 1, 3):  # a batch behind a checkpoint, which lies two into the epoch
            raise Killed

    with pytest.raises(Killed):
        small_run(shop, run_dir, stop, curve=curve, **options)
    return small_run(shop, run_dir, curve=curve, **options)


@every_option
def test_a_killed_run_ends_where_one_left_alone_ends(option: str, shop: Shop, tmp_path: Path) -> None:
    training = {"balancing": balancing_of(option), "objective": Objective(interference_every_steps=2)}
    options = {"training": training, "task": SMALL_TASKS, "options": SHORT, "make_loader": four_batches} | PLAIN_PARTS
    expected = small_run(shop, tmp_path / "alone", **options)
    run = killed_in_the_second_epoch(shop, tmp_path / "killed", **options)
    assert run.curve == expected.curve
    assert run.weights.keys() == expected.weights.keys()
    assert [name for name, weight in expected.weights.items() if not torch.equal(run.weights[name], weight)] == []
    for name, weight in expected.last["state_dict"].items():
        assert torch.equal(run.last["state_dict"][name], weight), name
    lines = [(tmp_path / name / "interference.csv").read_text() for name in ("alone", "killed")]
    assert lines[0] == lines[1]
    assert lines[0].count("\n") == 1 + 6 * 3  # steps 0, 2 .. 10, and the pairs of three tasks


def test_what_is_learnt_and_remembered_is_in_the_checkpoint(shop: Shop, tmp_path: Path) -> None:
    for balancing, names in (
        (UncertaintyBalancing, {"scaled"}),
        (DynamicWeightAverage, {"sums", "batches", "means"}),
        (GradNorm, {"weights", "first", "push", "pushes"}),
    ):
        module = balancing(tasks=("next_item", "spend"))
        assert set(module.state_dict()) == names


def test_a_batch_without_samples_of_a_task_moves_no_weight_of_it() -> None:
    uncertainty = UncertaintyBalancing(tasks=("next_item", "spend"))
    losses = {"next_item": torch.tensor(2.0), "spend": torch.tensor(0.0)}
    torch.stack(list(uncertainty.weigh(losses).values())).sum().backward()
    assert uncertainty.scaled.grad.tolist() == [pytest.approx(0.5 - 2.0), 0.0]
    average = DynamicWeightAverage(tasks=("next_item", "spend"))
    for spent in (3.0, 0.0, 5.0):
        average.observe({"next_item": torch.tensor(2.0), "spend": torch.tensor(spent)})
    average.end_epoch()
    assert average.means[1].tolist() == [2.0, 4.0]


def test_log_variances_move_as_many_times_faster_as_asked(tmp_path: Path) -> None:
    ends = {}
    for factor in (1.0, 10.0):
        module = module_of(partial(UncertaintyBalancing, factor), tmp_path)
        module.optimizer = SimpleNamespace(build=lambda m, *more, **named: torch.optim.Adam(m.parameters(), lr=1e-4))
        train(module, 1, 1, None)
        ends[factor] = {name: float(weight) for name, weight in module.balancing.current().items()}
    for name, weight in ends[1.0].items():
        assert np.log(ends[10.0][name]) == pytest.approx(10 * np.log(weight), rel=0.1)
        assert abs(np.log(weight)) == pytest.approx(5e-4, rel=0.2)  # five steps of one learning rate


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "fixed"])
def test_one_task_alone_is_refused(option: str) -> None:
    with pytest.raises(
        ValueError, match=r"at least two, got next_item alone; add one with task=\[\.\.\.\], or set bal"
    ):
        balancing_of(option)(tasks=("next_item",))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(UncertaintyBalancing, 0.0), r"balancing\.learning_rate_factor must be above 0, got 0\.0"),
        (partial(DynamicWeightAverage, 0.0), r"balancing\.temperature must be above 0, got 0\.0"),
        (partial(GradNorm, -1.0), r"balancing\.alpha must be at least 0, got -1\.0"),
        (partial(GradNorm, 1.0, 0.0), r"balancing\.learning_rate must be above 0, got 0\.0"),
        (partial(FixedBalancing, {"next_item": 0.0, "spend": 0.0}), r"balancing\.weights must not sum to 0"),
        (partial(FixedBalancing, {"search": 1.0}), r"balancing\.weights\.search belongs to no recommendation task"),
        (
            partial(FixedBalancing, {"spend": -1.0}),
            r"balancing\.weights: each entry must be at least 0, got {",
        ),
    ],
)
def test_options_out_of_range_are_refused(make: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(tasks=("next_item", "spend"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {"next_item": 1.0, "contrastive": 0.1, "purchase": 1.0}),
        ({"contrastive": 1.0, "purchase": 2.0}, {"next_item": 1.0, "contrastive": 1.0, "purchase": 2.0}),
    ],
)
def test_fixed_weights_are_those_given_or_the_defaults_of_the_heads(
    shop: Shop, tmp_path: Path, given: dict[str, float] | None, expected: dict[str, float]
) -> None:
    torch.manual_seed(0)
    tasks = {"contrastive": ContrastiveHead, "purchase": SMALL_TASKS["purchase"]}
    model, facts = small_model(shop, task=tasks), shop.facts()
    loss, balancing = FullSoftmax(facts=facts), partial(FixedBalancing, given)
    module = RecommenderModule(model, loss, AdamWOptions(), validation_metrics, tmp_path, balancing=balancing)
    weighed = module.balancing.weigh({name: torch.tensor(3.0) for name in expected})
    assert {name: loss.item() / 3.0 for name, loss in weighed.items()} == pytest.approx(expected)
    assert SearchHead.default_weight == 0.03


def test_two_epochs_of_dwa_are_those_of_weights_1() -> None:
    balancing = DynamicWeightAverage(tasks=("next_item", "spend"))
    for losses in ((8.0, 2.0), (4.0, 1.9)):
        assert {name: weight.item() for name, weight in balancing.current().items()} == {"next_item": 1.0, "spend": 1.0}
        balancing.observe(dict(zip(balancing.tasks, torch.tensor(losses), strict=True)))
        balancing.end_epoch()
    assert balancing.current()["spend"] > 1.0 > balancing.current()["next_item"]


def test_cagrad_out_of_range_and_without_its_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"balancing\.c must lie in \[0, 1\), got 1\.0; try 0\.5"):
        balancing_of("cagrad")(c=1.0, tasks=("next_item", "spend"))
    monkeypatch.setattr("torchjd._mixins.find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match=r"needs cvxpy, which is not installed; run pip install 'seasonrec\[cagrad\]'"
    ):
        balancing_of("cagrad")(tasks=("next_item", "spend"))


@pytest.mark.parametrize("make", [UncertaintyBalancing, DynamicWeightAverage, GradNorm])
def test_a_negative_loss_is_refused_where_ratios_of_losses_count(make: type[SeveralTasks]) -> None:
    balancing = make(tasks=("next_item", "spend"))

    def train_an_epoch() -> None:
        balancing.observe({"next_item": torch.tensor(1.0), "spend": torch.tensor(-0.5)})
        balancing.end_epoch()  # of DWA, which looks at the mean over an epoch

    with pytest.raises(ValueError, match=r"at or above 0, got -0\.5 for the task spend; set balancing=fixed, or one"):
        train_an_epoch()


def trainer_like(**changed: Any) -> Any:
    plain = {"precision_plugin": SimpleNamespace(scaler=None), "world_size": 1}
    return SimpleNamespace(**(plain | changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"precision_plugin": SimpleNamespace(scaler=object())},
            r"trainer\.precision=16-mixed does not reach; set trainer\.precision=bf16-mixed, or balancing=uncertainty",
        ),
        ({"world_size": 2}, r"would not share them, got 2; set trainer\.devices=1 and trainer\.num_nodes=1, or balanc"),
    ],
    ids=["16-mixed", "processes"],
)
def test_runs_without_the_gradient_of_each_task_are_refused(changed: Any, message: str, tmp_path: Path) -> None:
    module = module_of(PCGrad, tmp_path)
    GradientBalancingCheck().on_fit_start(trainer_like(), module)
    with pytest.raises(ValueError, match=message):
        GradientBalancingCheck().on_fit_start(trainer_like(**changed), module)


def test_adversarial_training_is_refused(tmp_path: Path) -> None:
    module = module_of(PCGrad, tmp_path)
    module.adversarial = FGM()
    with pytest.raises(ValueError, match=r"set adversarial=none, or balancing=uncertainty, dwa"):
        GradientBalancingCheck().on_fit_start(trainer_like(), module)


def test_a_compiled_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda call, **options: call)  # which takes seconds to import
    module = module_of(MGDA, tmp_path)
    module.model.compile()
    with pytest.raises(ValueError, match=r"set trainer\.compile=false, or balancing=uncertainty, dwa or fixed"):
        train(module, 1, 1, None)


@every_option
def test_those_that_look_at_gradients_say_so_and_ask_for_the_check(option: str) -> None:
    balancing = balancing_of(option)(tasks=("next_item", "spend"))
    looks = option in (*BY_GRADIENTS, "gradnorm")
    assert isinstance(balancing, GradientBalancing) == looks
    assert any(isinstance(callback, GradientBalancingCheck) for callback in balancing.callbacks()) == looks


def test_weights_are_logged(tmp_path: Path) -> None:
    class Logged(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *more: Any) -> None:
            seen.append(float(trainer.callback_metrics["balancing/spend"]))

    seen: list[float] = []
    module = module_of(GradNorm, tmp_path)
    train(module, 1, 1, None, callbacks=[Logged()])
    assert seen[0] == 1
    assert len(set(seen)) == len(BATCHES)
    assert seen[-1] != float(module.balancing.current()["spend"])  # the last step moved them once more


def test_nothing_to_learn_is_refused(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"objective\.lambda_mt=0 leaves nothing to be learned without a time-series"):
        small_run(shop, tmp_path, training={"objective": Objective(lambda_mt=0.0)})
