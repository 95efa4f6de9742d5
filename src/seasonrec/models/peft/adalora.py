"""AdaLoRA: LoRA that spreads a budget of ranks over the matrices by importance."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.peft.base import Target
from seasonrec.models.peft.layers import TargetModules, is_conv1d, resolved
from seasonrec.models.peft.library import LibraryTuning, wrapped
from seasonrec.ranges import Between, Count, Positive, Share, Weight, Width, ranged

STATE = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""Attributes of the allocator that hold the importance of each weight so far."""


@ranged("peft")
class AdaLoRA(LibraryTuning):
    """LoRA in the form ``P diag(E) Q``, whose ranks are pruned by importance during training.

    The mean rank falls from ``initial_rank`` to ``target_rank`` between ``first_share`` and ``last_share`` of all
    steps. A run that stops early, or whose best epoch is early, has not reached the target rank. The language model's
    initial outputs are unchanged. A loss term keeps ``P`` and ``Q`` close to orthogonal. The library adds this term
    only to a language model's own loss, so this class adds its gradient.

    Args:
        initial_rank: Initial rank of each matrix.
        target_rank: Final rank, averaged over all matrices.
        alpha: Scale of the product.
        first_share: Share of all steps before the first pruning.
        last_share: Share of all steps after which the ranks are fixed.
        every_steps: Steps between two prunings.
        orthogonality: Weight of the orthogonality term.
        target_modules: Suffixes of the linear layers' names; ``"all-linear"`` as in the paper.
        target: Components whose language model is tuned.

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
        initial_rank: Width = 12,
        target_rank: Annotated[int, Between(1, "initial_rank", "[)")] = 8,
        alpha: Positive = 16.0,
        first_share: Annotated[float, Between(0, "last_share", "[)")] = 0.1,
        last_share: Share = 0.7,
        every_steps: Count = 10,
        orthogonality: Weight = 0.1,
        target_modules: TargetModules = "all-linear",
        target: Target = "all",
        *,
        facts: Facts,
    ) -> None:
        super().__init__(target, facts=facts)
        self.options: dict[str, Any] = {
            "init_r": initial_rank,
            "target_r": target_rank,
            "lora_alpha": alpha,
            "deltaT": every_steps,
        }
        self.shares = (first_share, last_share)
        self.orthogonality = orthogonality
        self.target_modules = target_modules

    def tune(self, language_model: Any) -> nn.Module:
        from peft import AdaLoraConfig

        names = resolved(language_model, self.target_modules, [], self.option)
        config = AdaLoraConfig(
            **self.options,
            total_step=1,  # before_training sets it
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
        last = max(last, 2)  # pruning needs the importance measured by an earlier step
        for component in self.components.values():
            config = component.language_model.peft_config["default"]
            config.total_step, config.tinit, config.tfinal = total_steps, first, total_steps - last

    def before_step(self, step: int) -> None:
        if not self.orthogonality:
            return
        for component in self.components.values():
            with torch.enable_grad():
                term, factors = orthogonality_term(component.language_model)
                gradients = torch.autograd.grad(self.orthogonality * term, factors)
            for factor, gradient in zip(factors, gradients, strict=True):
                factor.grad = gradient if factor.grad is None else factor.grad + gradient

    def after_step(self, step: int) -> None:
        for component in self.components.values():
            component.language_model.base_model.update_and_allocate(step)

    def record(self) -> dict[str, Any]:
        return {"ranks": {name: ranks(component.language_model) for name, component in self.components.items()}}

    def state_dict(self) -> dict[str, Any]:
        return {name: _allocation(component.language_model) for name, component in self.components.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, component in self.components.items():
            allocator = component.language_model.base_model.rankallocator
            weights = dict(component.language_model.base_model.model.named_parameters())
            for key in STATE:
                setattr(allocator, key, {n: value.to(weights[n].device) for n, value in state[name][key].items()})
            component.language_model.peft_config["default"].rank_pattern = state[name]["rank_pattern"]


def orthogonality_term(language_model: nn.Module) -> tuple[Tensor, list[nn.Parameter]]:
    """Returns the mean Frobenius norm of ``Q Q^T - I`` and ``P^T P - I``, and the list of all ``Q`` and ``P``."""
    factors, terms = [], []
    for name, factor in language_model.named_parameters():
        if "lora_A.default" in name or "lora_B.default" in name:
            rows = factor if "lora_A" in name else factor.T  # (rank, width)
            terms.append(torch.linalg.matrix_norm(rows @ rows.T - torch.eye(len(rows), device=rows.device)))
            factors.append(factor)
    return torch.stack(terms).mean(), factors


def ranks(language_model: Any) -> dict[str, int]:
    """Returns the remaining rank of each matrix by name."""
    return {
        name.removesuffix(".lora_E.default"): int(values.count_nonzero())
        for name, values in language_model.base_model.model.named_parameters()
        if name.endswith("lora_E.default")
    }


def _allocation(language_model: Any) -> dict[str, Any]:
    allocator = language_model.base_model.rankallocator
    memory = {key: dict(getattr(allocator, key)) for key in STATE}
    return {**memory, "rank_pattern": language_model.peft_config["default"].rank_pattern}
