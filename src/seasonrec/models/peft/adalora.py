"""AdaLoRA: a budget of rank that moves to the matrices that need it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.peft.base import Target
from seasonrec.models.peft.layers import TargetModules, is_conv1d, resolved
from seasonrec.models.peft.library import LibraryTuning, wrapped

STATE = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""The allocator's own memory of how important each weight was."""


class AdaLoRA(LibraryTuning):
    """LoRA in the form ``P diag(E) Q``, whose ranks are cut to a budget by importance while it trains.

    The budget falls from ``initial_rank`` to ``target_rank`` a matrix, on the mean, between the two shares of the
    trainer's true number of steps; a run that stops early, or whose best epoch came earlier, has not reached the
    target. The language model starts as it was loaded. The paper keeps ``P`` and ``Q`` near to orthogonal by a term in
    the loss, which the library adds to a language model's own loss only; here its gradient is added to each step's.

    Args:
        initial_rank: Rank of each matrix at the start.
        target_rank: Rank of a matrix at the end, on the mean over all.
        alpha: Scale of the product.
        first_share: Share of all steps before the first cut.
        last_share: Share of all steps after which the ranks stay as they are.
        every_steps: Steps between two cuts.
        orthogonality: Weight of the term.
        target_modules: Linear layers by the ends of their names; ``"all-linear"`` as in the paper.
        target: Whose language model is tuned.

    Raises:
        ValueError: If ranks or shares are out of order, or a number is out of its range; from ``apply``, if a target
            matches no layer.

    References:
        Zhang et al., Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning, ICLR 2023.
    """

    option = "adalora"
    needs_whole_gradients = True

    def __init__(
        self,
        initial_rank: int = 12,
        target_rank: int = 8,
        alpha: float = 16.0,
        first_share: float = 0.1,
        last_share: float = 0.7,
        every_steps: int = 10,
        orthogonality: float = 0.1,
        target_modules: TargetModules = "all-linear",
        target: Target = "all",
        *,
        facts: Facts,
    ) -> None:
        super().__init__(target)
        if not 1 <= target_rank < initial_rank:
            raise UserError(
                f"peft.target_rank must lie in 1..{initial_rank - 1}, below peft.initial_rank={initial_rank}, got "
                f"{target_rank}; peft=lora keeps one rank."
            )
        if not 0 <= first_share < last_share <= 1:
            raise UserError(
                "peft.first_share and peft.last_share must keep 0 <= first_share < last_share <= 1, got "
                f"{first_share} and {last_share}; try 0.1 and 0.7."
            )
        if not alpha > 0:
            raise UserError(f"peft.alpha must be above 0, got {alpha}; peft=frozen adds nothing.")
        if every_steps < 1:
            raise UserError(f"peft.every_steps must be at least 1, got {every_steps}; try 10.")
        self.ranks = (initial_rank, target_rank)
        self.alpha = alpha
        self.every_steps = every_steps
        self.shares = (first_share, last_share)
        self.orthogonality = orthogonality
        self.target_modules = target_modules

    def tune(self, language_model: Any) -> nn.Module:
        from peft import AdaLoraConfig

        names = resolved(language_model, self.target_modules, [], self.option)
        config = AdaLoraConfig(
            init_r=self.ranks[0],
            target_r=self.ranks[1],
            lora_alpha=self.alpha,  # type: ignore[arg-type]  # it only divides it
            deltaT=self.every_steps,
            total_step=1,  # until the trainer tells
            target_modules=names,
            fan_in_fan_out=is_conv1d(language_model, names),
        )
        return wrapped(language_model, config)

    def before_training(self, total_steps: int) -> None:
        first, last = (round(share * total_steps) for share in self.shares)
        if first >= last:
            raise UserError(
                f"peft=adalora needs a step between first_share and last_share, got {total_steps} steps in all; raise "
                "trainer.max_epochs, or choose peft=lora."
            )
        last = max(last, 2)  # the cut needs the importance that an earlier step has measured
        for part in self.parts.values():
            config = part.language_model.peft_config["default"]
            config.total_step, config.tinit, config.tfinal = total_steps, first, total_steps - last

    def before_step(self, step: int) -> None:
        if not self.orthogonality:
            return
        for part in self.parts.values():
            with torch.enable_grad():
                term, factors = orthogonality_term(part.language_model)
                gradients = torch.autograd.grad(self.orthogonality * term, factors)
            for factor, gradient in zip(factors, gradients, strict=True):
                factor.grad = gradient if factor.grad is None else factor.grad + gradient

    def after_step(self, step: int) -> None:
        for part in self.parts.values():
            part.language_model.base_model.update_and_allocate(step)

    def record(self) -> dict[str, Any]:
        return {"ranks": {name: ranks(part.language_model) for name, part in self.parts.items()}}

    def state_dict(self) -> dict[str, Any]:
        return {name: _allocation(part.language_model) for name, part in self.parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            allocator = part.language_model.base_model.rankallocator
            weights = dict(part.language_model.base_model.model.named_parameters())
            for key in STATE:
                setattr(allocator, key, {n: value.to(weights[n].device) for n, value in state[name][key].items()})
            part.language_model.peft_config["default"].rank_pattern = state[name]["rank_pattern"]


def orthogonality_term(language_model: nn.Module) -> tuple[Tensor, list[nn.Parameter]]:
    """Mean Frobenius norm of ``Q Q^T - I`` and ``P^T P - I``, 0 where ranks are orthogonal; and all ``Q`` and ``P``."""
    factors, terms = [], []
    for name, factor in language_model.named_parameters():
        if "lora_A.default" in name or "lora_B.default" in name:
            rows = factor if "lora_A" in name else factor.T  # (rank, width)
            terms.append(torch.linalg.matrix_norm(rows @ rows.T - torch.eye(len(rows), device=rows.device)))
            factors.append(factor)
    return torch.stack(terms).mean(), factors


def ranks(language_model: Any) -> dict[str, int]:
    """How many ranks of each matrix are not cut, by the name of the matrix."""
    return {
        name.removesuffix(".lora_E.default"): int(values.count_nonzero())
        for name, values in language_model.base_model.model.named_parameters()
        if name.endswith("lora_E.default")
    }


def _allocation(language_model: Any) -> dict[str, Any]:
    allocator = language_model.base_model.rankallocator
    memory = {key: dict(getattr(allocator, key)) for key in STATE}
    return {**memory, "rank_pattern": language_model.peft_config["default"].rank_pattern}
