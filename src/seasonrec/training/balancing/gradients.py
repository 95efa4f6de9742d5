"""Gradients of several tasks by the weights of one model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seasonrec.training.balancing.base import Coefficients, GradientBalancing
from seasonrec.training.objective import Losses, Objective, total


@dataclass(frozen=True)
class TaskGradients:
    """Gradients of ``K`` losses.

    Args:
        parameters: The trained weights.
        rows: Gradients of each loss; None where a loss does not depend on a weight.
    """

    parameters: Sequence[nn.Parameter]
    rows: Sequence[Sequence[Tensor | None]]

    @staticmethod
    def of(losses: Sequence[Tensor], parameters: Iterable[nn.Parameter], keep_graph: bool) -> TaskGradients:
        """Runs one backward pass per loss; leaves ``.grad`` unchanged.

        Args:
            losses: ``K`` scalars.
            parameters: Weights; frozen ones are left out.
            keep_graph: Whether the graph is needed again.
        """
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        rows: list[Sequence[Tensor | None]] = []
        for place, loss in enumerate(losses):
            keep = keep_graph or place + 1 < len(losses)
            known = bool(trained) and loss.requires_grad
            nothing = (None,) * len(trained)
            rows.append(torch.autograd.grad(loss, trained, retain_graph=keep, allow_unused=True) if known else nothing)
        return TaskGradients(trained, rows)

    def gramian(self) -> Tensor:
        """Returns ``(K, K)`` float64 inner products of the gradients by the weights that several losses depend on."""
        made = torch.zeros(len(self.rows), len(self.rows), dtype=torch.float64)
        for found in zip(*self.rows, strict=True):
            if _is_shared(found):
                matrix = torch.stack([_or_zero(gradient, found).flatten() for gradient in found])  # (K, weights)
                made = made.to(matrix.device) + (matrix @ matrix.T).double()
        return made

    def add(self, coefficients: Coefficients) -> None:
        """Adds the gradients times their coefficients to ``.grad``."""
        for parameter, found in zip(self.parameters, zip(*self.rows, strict=True), strict=True):
            weights = coefficients.shared if _is_shared(found) else coefficients.own
            pairs = [(w, gradient) for w, gradient in zip(weights, found, strict=True) if gradient is not None]
            if pairs:
                gradient = torch.stack([weight.to(row) * row for weight, row in pairs]).sum(0)
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def add_gradients(
    losses: Losses,
    objective: Objective,
    balancing: GradientBalancing,
    parameters: Iterable[nn.Parameter],
    share: float | Tensor,
) -> None:
    """Adds ``share`` of the objective's gradient to ``.grad``; the balancing combines the recommendation tasks.

    The balancing only replaces the sum over the recommendation tasks; the series and the penalties are added as in
    :class:`~seasonrec.training.objective.Objective`.

    Args:
        losses: Losses of the current batch with their graph, which is freed.
        objective: The weights of the two sums.
        balancing: Gives the coefficients.
        parameters: The model's weights.
        share: One over the number of batches per step, times the batch's weight.
    """
    rest = {name: objective.lambda_t * loss for name, loss in losses.series.items()} | dict(losses.penalties)
    rest = {name: loss for name, loss in rest.items() if loss.requires_grad}
    tasks = list(losses.tasks.values())
    gradients = TaskGradients.of(tasks, parameters, keep_graph=bool(rest))
    found = balancing.coefficients(torch.stack([loss.detach() for loss in tasks]), gradients.gramian())
    factor = objective.lambda_mt * share
    gradients.add(Coefficients(factor * found.shared, factor * found.own))
    if rest:
        (share * total(rest)).backward()  # type: ignore[no-untyped-call]  # torch's


def _is_shared(found: Sequence[Tensor | None]) -> bool:
    return sum(gradient is not None for gradient in found) > 1


def _or_zero(gradient: Tensor | None, found: Sequence[Tensor | None]) -> Tensor:
    return torch.zeros_like(next(other for other in found if other is not None)) if gradient is None else gradient
