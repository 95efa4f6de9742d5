"""PCGrad: each task's gradient without what works against another task."""

from __future__ import annotations

from seasonrec.training.balancing.aggregation import Aggregation


class PCGrad(Aggregation):
    """Takes from each task's gradient its part against the gradients of the others, one after the other, and adds up.

    The order of the others is drawn anew for each task and step.

    Args:
        tasks: Names of the recommendation tasks.

    References:
        Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020, algorithm 1.
    """

    def __init__(self, *, tasks: tuple[str, ...]) -> None:
        from torchjd.aggregation import PCGradWeighting  # slow to import, and needed for these methods alone

        super().__init__(PCGradWeighting(), gives_a_mean=False, tasks=tasks)
