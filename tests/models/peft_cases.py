"""A backbone with a tiny language model and any tuning method, for the tests of ``models/peft``."""

import copy
from pathlib import Path
from typing import Any

import torch
import yaml
from small_shop import Shop
from tiny_language_models import save_tiny
from torch import Tensor, nn

from seasonrec.config import build, conf_dir
from seasonrec.models.backbone.pretrained import PretrainedBackbone
from seasonrec.models.language.lookup import language_models
from seasonrec.models.peft.base import Peft

LENGTH = 7
DIM = 16


def method_of(option: str) -> Any:
    """Returns the class of a yaml of ``conf/peft`` with its options."""
    return build(yaml.safe_load((conf_dir() / "peft" / f"{option}.yaml").read_text()))


class Holder(nn.Module):
    """A stand-in for the recommender: a backbone with a language model, and a head."""

    peft: Peft

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(DIM, DIM)

    def forward(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        return self.head(self.backbone(inputs, is_padding))


class Maker:
    """A factory of tuned models with any type of language model."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.facts = shop.facts(DIM)
        self.folder = folder
        self.loaded: dict[tuple[str, str], PretrainedBackbone] = {}

    def __call__(self, kind: str, method: Any, seed: int = 0, **options: Any) -> Holder:
        """Returns a model with a method, given by name or as a class; a seed other than 0 gives other weights."""
        torch.manual_seed(seed)
        key = (kind, str(options))
        if seed or key not in self.loaded:
            name = save_tiny(kind, self.folder)
            backbone = PretrainedBackbone(name, **({"dropout": 0.0} | options), facts=self.facts)
            self.loaded |= {} if seed else {key: backbone}
        torch.manual_seed(seed + 1)
        holder = Holder(backbone if seed else copy.deepcopy(self.loaded[key]))
        holder.peft = (method_of(method) if isinstance(method, str) else method)(facts=self.facts)
        holder.peft.apply(holder)
        torch.manual_seed(3)
        return holder


def inputs() -> tuple[Tensor, Tensor]:
    """Returns two sequences, one of them with padding."""
    is_padding = torch.arange(LENGTH) >= torch.tensor([[LENGTH], [5]])
    return torch.randn(2, LENGTH, DIM), is_padding


def disturb(model: nn.Module) -> None:
    """Adds noise to the trained weights, in place of training."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))


def trained_names(holder: Holder) -> set[str]:
    return {name for name, p in holder.backbone.language_model.named_parameters() if p.requires_grad}


def tuned_share(model: nn.Module) -> float:
    """Returns the trained share of the language models' weights, including added weights."""
    held = [parameter for part in language_models(model).values() for parameter in part.language_model.parameters()]
    return sum(p.numel() for p in held if p.requires_grad) / sum(p.numel() for p in held)
