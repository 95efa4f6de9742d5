"""The adaptation that trains low-rank updates of the matrices."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import lightning as L

from seasonrec.errors import UserError
from seasonrec.models.peft.low_rank import add_low_rank, merge_low_rank
from seasonrec.ranges import Positive, Rate, Width, ranged
from seasonrec.runs.adaptation.base import FineTuning, Update, UpdatePlace, fine_tuned
from seasonrec.runs.run import Run


@ranged("adaptation")
@dataclass(frozen=True)
class Lora(FineTuning):
    """Fine-tuning of low-rank updates of all matrices, which are merged into them afterwards.

    Args:
        learning_rate: Peak learning rate; higher than that of all weights, because the updates start at zero.
        rank: Rank of an update.
        alpha: Scale of an update; it is multiplied by ``alpha / rank``.

    Raises:
        UserError: If a number is out of its range.

    References:
        Hu et al., LoRA, ICLR 2022.
    """

    learning_rate: Rate = 0.02
    rank: Width = 4
    alpha: Positive = 8.0

    def __call__(self, run: Run, place: UpdatePlace) -> Update:
        plain = copy.deepcopy(run.model)
        L.seed_everything(place.seed, verbose=False)
        if not add_low_rank(run.model, self.rank, self.alpha):
            raise UserError(
                f"adaptation=lora needs a matrix whose sides are above adaptation.rank={self.rank}; choose a lower "
                "rank."
            )
        update = fine_tuned(run, place, self)
        merge_low_rank(run.model)
        plain.load_state_dict(run.model.state_dict())
        run.model = plain  # with its weights in their order, on which the last bit of a gradient's norm depends
        return update
