"""MGDA: the shortest mean of the tasks' gradients."""

from __future__ import annotations

from seasonrec.training.balancing.aggregation import Aggregation


class MGDA(Aggregation):
    """The weighted mean of the tasks' gradients that is shortest, times their number: no task gets worse by it.

    A task with small gradients gets a large weight, and decides the direction.

    Args:
        tasks: Names of the recommendation tasks.

    References:
        Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, NeurIPS 2018, algorithm 2 (the exact
        gradients by the shared weights, not the bound by the features); Désidéri, Multiple-gradient descent algorithm,
        Comptes Rendus Mathématique 2012. Departure: the factor, see :class:`Aggregation`.
    """

    def __init__(self, *, tasks: tuple[str, ...]) -> None:
        from torchjd.aggregation import MGDAWeighting  # slow to import, and needed for these methods alone

        super().__init__(MGDAWeighting(), gives_a_mean=True, tasks=tasks)
