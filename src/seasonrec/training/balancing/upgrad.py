"""UPGrad: each task's gradient, projected so that it harms no other task."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor

from seasonrec.training.balancing.aggregation import Aggregation


class UPGrad(Aggregation):
    """The sum of the tasks' gradients, each projected onto the nearest vector that harms no task.

    Args:
        tasks: Names of the recommendation tasks.

    References:
        Quinton and Rey, Jacobian Descent for Multi-Objective Optimization, arXiv 2406.16232, 2024. Departures: the
        factor, see :class:`Aggregation`; the projections are non-negative least squares, without a regulariser.
    """

    def __init__(self, *, tasks: tuple[str, ...]) -> None:
        from torchjd.aggregation import UPGradWeighting  # slow to import, and only needed here
        from torchjd.linalg import DualConeProjector

        class Projector(DualConeProjector):
            """Projector without quadprog, whose licence (GPL) does not suit this library."""

            def __call__(self, U: Tensor, G: Any) -> Tensor:  # names of TorchJD
                rows = [harmless(row, G.numpy()) for row in U.numpy()]
                return torch.from_numpy(np.stack(rows)).to(G.dtype)

        super().__init__(UPGradWeighting(projector=Projector()), gives_a_mean=True, tasks=tasks)


def harmless(weights: NDArray[np.float64], gramian: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the weights of the vector nearest to a sum of gradients that harms none of their tasks.

    The weights are ``argmin v' G v`` over ``v >= weights`` (proposition 1 of the paper). With ``G = A' A`` and
    ``v = weights + z``, this is ``argmin |A z + A weights|`` over ``z >= 0``.

    Args:
        weights: ``(K,)`` weights of the sum.
        gramian: ``(K, K)`` inner products of the gradients.
    """
    values, vectors = np.linalg.eigh(gramian)
    root = np.sqrt(values.clip(min=0))[:, None] * vectors.T
    found, _ = nnls(root, -root @ weights)
    return weights + found
