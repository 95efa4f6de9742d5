"""MGDA: the weighted mean of the tasks' gradients with the smallest norm."""

from __future__ import annotations

from seasonrec.training.balancing.aggregation import Aggregation


class MGDA(Aggregation):
    """The weighted mean of the tasks' gradients with the smallest norm, times their number.

    No task gets worse. A task with small gradients gets a large weight and determines the direction.

    Args:
        tasks: Names of the recommendation tasks.

    References:
        Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, NeurIPS 2018, algorithm 2 (the exact
        gradients by the shared weights, not the bound by the features); Désidéri, Multiple-gradient descent algorithm,
        Comptes Rendus Mathématique 2012. Departure: the factor, see :class:`Aggregation`.
    """

    def __init__(self, *, tasks: tuple[str, ...]) -> None:
        from torchjd.aggregation import MGDAWeighting  # slow to import, and only needed here

        super().__init__(MGDAWeighting(), gives_a_mean=True, tasks=tasks)
