"""CAGrad: the gradient near the mean that helps the worst task most."""

from __future__ import annotations

from seasonrec.ranges import BelowOne, ranged
from seasonrec.training.balancing.aggregation import Aggregation


@ranged("balancing")
class CAGrad(Aggregation):
    """The gradient within ``c`` times its norm of the mean gradient that maximises the smallest gain of a task.

    Args:
        c: Radius around the mean gradient, as a share of its norm. 0 is the plain sum; below 1, training converges
            to the same points as the sum.
        tasks: Names of the recommendation tasks.

    Raises:
        ValueError: If ``c`` is not in [0, 1).
        ImportError: If the solver is not installed.

    References:
        Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning, NeurIPS 2021, algorithm 1. Departure: the
        factor, see :class:`Aggregation`.
    """

    def __init__(self, c: BelowOne = 0.5, *, tasks: tuple[str, ...]) -> None:
        from torchjd.aggregation import CAGradWeighting  # slow to import, and only needed here

        try:
            weighting = CAGradWeighting(c=c)
        except ImportError as error:
            raise ImportError(
                "balancing=cagrad solves a small convex program and needs cvxpy, which is not installed; run "
                "pip install 'seasonrec[cagrad]', or set balancing=upgrad."
            ) from error
        super().__init__(weighting, gives_a_mean=True, tasks=tasks)
