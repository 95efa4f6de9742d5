"""The adaptation that changes no weight."""

from __future__ import annotations

from dataclasses import dataclass

from seasonrec.config.schema import RunConfig
from seasonrec.runs.adaptation.base import Update, UpdatePlace
from seasonrec.runs.run import Run


@dataclass(frozen=True)
class Static:
    """No update: the model adapts by what it reads, which is known up to each request."""

    is_static = True

    def extended(self, config: RunConfig) -> RunConfig:
        return config

    def __call__(self, run: Run, place: UpdatePlace) -> Update:
        return Update(run, 0, 0)
