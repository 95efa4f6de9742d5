"""CAGrad: near the mean gradient, what helps the task that is helped least."""

from __future__ import annotations

from seasonrec.errors import UserError
from seasonrec.training.balancing.aggregation import Aggregation


class CAGrad(Aggregation):
    """The gradient within ``c`` mean gradients of the mean that does most for the task for which it does least.

    Args:
        c: Radius of what is allowed around the mean gradient, as a share of its length. 0 is the plain sum; training
            settles where the sum's does as long as it is below 1.
        tasks: Names of the recommendation tasks.

    Raises:
        ValueError: If ``c`` is not in [0, 1).
        ImportError: If the solver is not installed.

    References:
        Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning, NeurIPS 2021, algorithm 1. Departure: the
        factor, see :class:`Aggregation`.
    """

    def __init__(self, c: float = 0.5, *, tasks: tuple[str, ...]) -> None:
        from torchjd.aggregation import CAGradWeighting  # slow to import, and needed for these methods alone

        if not 0 <= c < 1:
            raise UserError(f"balancing.c must lie in [0, 1), got {c}; try 0.5.")
        try:
            weighting = CAGradWeighting(c=c)
        except ImportError as error:
            raise ImportError(
                "balancing=cagrad solves a small convex program and needs cvxpy, which is not installed; run "
                "pip install 'seasonrec[cagrad]', or set balancing=upgrad."
            ) from error
        super().__init__(weighting, gives_a_mean=True, tasks=tasks)
