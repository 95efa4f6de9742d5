"""PCGrad: each task's gradient without its components against other tasks."""

from __future__ import annotations

from seasonrec.training.balancing.aggregation import Aggregation


class PCGrad(Aggregation):
    """The sum of the tasks' gradients, each projected to remove its conflicts with the other tasks, one by one.

    The order of the other tasks is drawn again for each task and step.

    Args:
        tasks: Names of the recommendation tasks.

    References:
        Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020, algorithm 1.
    """

    def __init__(self, *, tasks: tuple[str, ...]) -> None:
        from torchjd.aggregation import PCGradWeighting  # slow to import, and only needed here

        super().__init__(PCGradWeighting(), gives_a_mean=False, tasks=tasks)
