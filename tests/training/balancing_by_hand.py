"""Quadratic tasks, a series and a penalty, trained by the module and by a plain loop as a reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from seasonrec.training.module import RecommenderModule
from seasonrec.training.objective import Losses, Objective

Array = NDArray[np.float64]

LEARNING_RATE = 0.05
PENALTY = 0.1
OBJECTIVE = Objective(lambda_mt=0.8, lambda_t=0.5)
WIDTH = 3
SCALES = {"next_item": 1.0, "spend": 3.0, "demand": 2.0}
AIMS = {"next_item": (1.0, 2.0, 0.5), "spend": (-2.0, 1.0, -1.0), "demand": (0.3, -1.0, 2.0)}
"""Targets of each task's output: its own weights times the output of the shared weights."""

BATCHES = np.random.default_rng(3).normal(1.0, 0.7, size=(5, WIDTH))

WEIGHTS = (0.5, 1.5, 1.25, 0.75, 1.0)
"""Weights of the batches in their steps."""


@dataclass
class Vector:
    """A batch."""

    values: Tensor
    target_items: tuple[int, ...] = (0,)
    domain: None = None
    weight: Tensor | None = None


class Vectors:
    """One epoch."""

    def __len__(self) -> int:
        return len(BATCHES)

    def __iter__(self) -> Iterator[Vector]:
        pairs = zip(BATCHES, WEIGHTS, strict=True)
        return (Vector(torch.from_numpy(row), weight=torch.tensor(weight)) for row, weight in pairs)


class Flag(nn.Module):
    def __init__(self, is_series: bool) -> None:
        super().__init__()
        self.is_series = is_series


class Quadratic(nn.Module):
    peft = None

    def __init__(self) -> None:
        super().__init__()
        start = first_weights()
        self.task = nn.ModuleDict({"spend": Flag(False), "demand": Flag(True)})
        self.matrix = nn.Parameter(torch.from_numpy(start["matrix"]))
        self.bias = nn.Parameter(torch.from_numpy(start["bias"]))
        self.own = nn.ParameterDict({name: torch.from_numpy(start[name]) for name in AIMS})


class QuadraticModule(RecommenderModule):
    """The training module with quadratic losses."""

    def losses(self, batch: Vector) -> Losses:
        model = self.model
        said = batch.values.to(model.bias) @ model.matrix.T + model.bias
        found = {
            name: scale / 2 * (model.own[name] * said - torch.tensor(AIMS[name], dtype=said.dtype)).square().sum()
            for name, scale in SCALES.items()
        }
        series = {"demand": found.pop("demand")}
        return Losses(found, series, {"size": PENALTY * model.matrix.square().sum()})


class SGD:
    def build(self, model: nn.Module, total_steps: int, fused: bool = False) -> Any:
        return torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)


def first_weights() -> dict[str, Array]:
    draw = np.random.default_rng(0)
    own = {name: draw.normal(1.0, 0.2, size=WIDTH) for name in AIMS}
    return {"matrix": draw.normal(0, 0.4, size=(WIDTH, WIDTH)), "bias": draw.normal(0, 0.4, size=WIDTH), **own}


def module_of(balancing: Callable[..., Any], run_dir: Path) -> QuadraticModule:
    module = QuadraticModule(Quadratic(), None, SGD(), None, run_dir, objective=OBJECTIVE, balancing=balancing)
    return module.double()


def train(module: L.LightningModule, epochs: int, accumulate: int, clip: float | None, **trainer: Any) -> None:
    """Trains like ``fit``, without checkpoints."""
    L.Trainer(
        max_epochs=epochs, accelerator="cpu", accumulate_grad_batches=accumulate, gradient_clip_val=clip, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **trainer,
    ).fit(module, Vectors())  # fmt: skip


def weights_of(module: QuadraticModule) -> dict[str, Array]:
    named = {"matrix": module.model.matrix, "bias": module.model.bias, **dict(module.model.own.items())}
    return {name: weight.detach().numpy() for name, weight in named.items()}


# --- the same without the module -------------------------------------------------------------------------------------


@dataclass
class ByHand:
    """Base of the references: the plain sum, with weights 1.

    ``epoch_losses`` holds the mean losses of the epochs that are over.
    """

    epoch_losses: list[Array] = field(default_factory=list)

    def shares(self, rows: Array, losses: Array) -> tuple[Array, Array]:
        """Returns two gradients to add, from the tasks' ``(2, n)`` gradients by the shared weights and their losses.

        Returns:
            The gradient by the shared weights, and the factors ``(2,)`` of the tasks' own gradients.
        """
        return rows.sum(0), np.ones(2)

    def end_step(self) -> None:
        return

    def own_gradient(self) -> Array:
        """Returns the terms of weights that the balancing learns with the model."""
        return np.zeros(0)

    def move(self, step: Array) -> None:
        return


@dataclass
class Uncertainty(ByHand):
    log_variances: Array = field(default_factory=lambda: np.zeros(2))
    gradient: Array = field(default_factory=lambda: np.zeros(2))

    def shares(self, rows: Array, losses: Array) -> tuple[Array, Array]:
        factors = np.exp(-self.log_variances)
        self.gradient = OBJECTIVE.lambda_mt * (0.5 - factors * losses)
        return factors @ rows, factors

    def own_gradient(self) -> Array:
        return self.gradient

    def move(self, step: Array) -> None:
        self.log_variances = self.log_variances + step


@dataclass
class Dwa(ByHand):
    def shares(self, rows: Array, losses: Array) -> tuple[Array, Array]:
        ratio = self.epoch_losses[-1] / self.epoch_losses[-2] if len(self.epoch_losses) > 1 else np.ones(2)
        factors = 2 * np.exp(ratio / 2) / np.exp(ratio / 2).sum()
        return factors @ rows, factors


@dataclass
class GradNorm(ByHand):
    """Reference of GradNorm with a numerical slope of the sum of distances, with constant targets."""

    weights: Array = field(default_factory=lambda: np.ones(2))
    first: Array | None = None
    slopes: list[Array] = field(default_factory=list)

    def shares(self, rows: Array, losses: Array) -> tuple[Array, Array]:
        self.first = losses if self.first is None else self.first
        lengths = np.linalg.norm(rows, axis=1)
        progress = losses / self.first
        targets = (self.weights * lengths).mean() * (progress / progress.mean()) ** 1.5

        def distance(weights: Array) -> float:
            return float(np.abs(weights * lengths - targets).sum() / lengths.mean())

        near = 1e-7 * np.eye(2)
        slope = [(distance(self.weights + e) - distance(self.weights - e)) / 2e-7 for e in near]
        self.slopes.append(np.array(slope))
        return self.weights @ rows, self.weights

    def end_step(self) -> None:
        moved = self.weights - 0.025 * np.mean(self.slopes, axis=0)
        self.weights, self.slopes = 2 * moved / moved.sum(), []


@dataclass
class PCGrad(ByHand):
    def shares(self, rows: Array, losses: Array) -> tuple[Array, Array]:
        changed = []
        for mine, other in ((rows[0], rows[1]), (rows[1], rows[0])):
            against = mine @ other
            changed.append(mine - against / (other @ other) * other if against < 0 else mine)
        return changed[0] + changed[1], np.ones(2)


@dataclass
class CAGrad(ByHand):
    def shares(self, rows: Array, losses: Array) -> tuple[Array, Array]:
        mean = rows.mean(0)
        radius = 0.5 * np.linalg.norm(mean)

        def worth(share: float) -> float:
            mixed = share * rows[0] + (1 - share) * rows[1]
            return float(mixed @ mean + radius * np.linalg.norm(mixed))

        share = minimize_scalar(worth, bounds=(0, 1), method="bounded", options={"xatol": 1e-12}).x
        mixed = share * rows[0] + (1 - share) * rows[1]
        return 2 * (mean + radius * mixed / np.linalg.norm(mixed)), np.ones(2)


@dataclass
class MGDA(ByHand):
    def shares(self, rows: Array, losses: Array) -> tuple[Array, Array]:
        apart = rows[1] - rows[0]
        share = float(np.clip(apart @ rows[1] / (apart @ apart), 0, 1))
        return 2 * (share * rows[0] + (1 - share) * rows[1]), np.ones(2)


@dataclass
class UPGrad(ByHand):
    def shares(self, rows: Array, losses: Array) -> tuple[Array, Array]:
        return sum((nearest_harmless(row, rows) for row in rows), np.zeros(rows.shape[1])), np.ones(2)


REFERENCES: dict[str, type[ByHand]] = {
    "fixed": ByHand, "uncertainty": Uncertainty, "dwa": Dwa, "gradnorm": GradNorm, "pcgrad": PCGrad, "cagrad": CAGrad,
    "mgda": MGDA, "upgrad": UPGrad,
}  # fmt: skip


def nearest_harmless(vector: Array, rows: Array) -> Array:
    """Returns the nearest vector without a negative product with any row, by trying every set of active rows."""
    found = []
    for count in range(len(rows) + 1):
        for chosen in combinations(range(len(rows)), count):
            bound = rows[list(chosen)]
            projected = vector - bound.T @ np.linalg.lstsq(bound.T, vector, rcond=None)[0] if chosen else vector
            if (rows @ projected >= -1e-9).all():
                found.append(projected)
    return min(found, key=lambda projected: float(np.linalg.norm(projected - vector)))


def train_by_hand(reference: ByHand, epochs: int, accumulate: int, clip: float | None) -> dict[str, Array]:
    weights = first_weights()
    for _ in range(epochs):
        seen = []
        for start in range(0, len(BATCHES), accumulate):
            gradient = {name: np.zeros_like(weight) for name, weight in weights.items()}
            learnt = np.zeros_like(reference.own_gradient())
            for batch, weight in zip(BATCHES[start:][:accumulate], WEIGHTS[start:], strict=False):
                seen.append(add_batch(gradient, weights, batch, reference, weight / accumulate))
                learnt = learnt + weight * reference.own_gradient() / accumulate
            length = np.sqrt(sum((g**2).sum() for g in (*gradient.values(), learnt)))
            shorter = 1.0 if clip is None else min(1.0, clip / (length + 1e-6))
            reference.end_step()
            weights = {name: weight - LEARNING_RATE * shorter * gradient[name] for name, weight in weights.items()}
            reference.move(-LEARNING_RATE * shorter * learnt)
        reference.epoch_losses.append(np.mean(seen, axis=0))
    return weights


def add_batch(
    gradient: dict[str, Array], weights: dict[str, Array], batch: Array, reference: ByHand, share: float
) -> Sequence[float]:
    """Adds the gradient of one batch and returns the losses of the balanced tasks."""
    said = weights["matrix"] @ batch + weights["bias"]
    losses, own, shared = {}, {}, {}
    for name, scale in SCALES.items():
        rest = weights[name] * said - np.array(AIMS[name])
        losses[name] = scale / 2 * float(rest @ rest)
        own[name] = scale * rest * said
        by_said = scale * rest * weights[name]
        shared[name] = np.concatenate([np.outer(by_said, batch).ravel(), by_said])
    tasks = [name for name in SCALES if name != "demand"]
    told = np.array([losses[name] for name in tasks])
    balanced, factors = reference.shares(np.stack([shared[name] for name in tasks]), told)
    whole = OBJECTIVE.lambda_mt * balanced + OBJECTIVE.lambda_t * shared["demand"]
    gradient["matrix"] += share * (whole[: WIDTH**2].reshape(WIDTH, WIDTH) + 2 * PENALTY * weights["matrix"])
    gradient["bias"] += share * whole[WIDTH**2 :]
    gradient["demand"] += share * OBJECTIVE.lambda_t * own["demand"]
    for name, factor in zip(tasks, factors, strict=True):
        gradient[name] += share * OBJECTIVE.lambda_mt * factor * own[name]
    return told.tolist()
