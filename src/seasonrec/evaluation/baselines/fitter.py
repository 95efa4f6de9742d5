"""Mixtures of shares, and their fit on the validation part."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from seasonrec.batches.candidates import available_targets
from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.share_index import SharesContext, SharesIndex
from seasonrec.batches.context.shares import COUNTED, SMALLEST
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import Split
from seasonrec.data.log import EventLog
from seasonrec.evaluation.baselines.mixture import fit_mixture, with_floor
from seasonrec.evaluation.protocol import Protocol

HALF_LIVES_DAYS = (7.0, 14.0, 28.0, 56.0, 112.0)

VALIDATION_REQUESTS = 6_000
"""Number of validation requests for the choice of weights, evenly spaced."""

CHUNK, CHUNK_CELLS = 512, 1 << 26
"""Largest number of requests of a chunk, and of requests times items."""


class Fitted(typing.Protocol):
    """A baseline with all its parameters."""

    @property
    def name(self) -> str:
        """Row of the table."""
        ...

    @property
    def chosen(self) -> dict[str, object]:
        """Values chosen on validation, for the record; ``tried`` is the number of settings tried."""
        ...

    def score(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` log probabilities, which sum to 1 over the candidates."""
        ...


@dataclass(frozen=True)
class ShareMixture:
    """Mixture of shares with the same weights for all requests.

    Args:
        name: Row name.
        index: Shares of requests.
        weights: ``(K,)`` weights of the parts.
        chosen: Values chosen on validation, for the record.
    """

    name: str
    index: SharesIndex
    weights: Tensor
    chosen: dict[str, object] = field(default_factory=dict)

    def score(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` log probabilities."""
        return self.index(requests).mixed(self.weights.expand(len(requests), -1)).clamp(min=SMALLEST).log()


class ShareFitter:
    """Fit of mixtures of shares by the likelihood of the targets of validation requests.

    Args:
        log: The prepared log.
        counts: Daily counts of the log.
        split: The cuts.
        protocol: Horizon and candidates.
    """

    def __init__(self, log: EventLog, counts: DailyCounts, split: Split, protocol: Protocol) -> None:
        self.log, self.counts, self.candidates = log, counts, protocol.candidates
        baskets = split.validation_baskets(log)
        step = max(1, len(baskets) // VALIDATION_REQUESTS)
        self.requests = Requests.of_baskets(log, baskets[::step], protocol.horizon(split, log.timezone))

    def index(self, options: SharesContext) -> SharesIndex:
        """Returns the shares of the log, over the candidates of the protocol."""
        return SharesIndex(self.log, replace(options, candidates=self.candidates), self.counts)

    def fit(self, name: str, settings: Sequence[SharesContext]) -> ShareMixture:
        """Returns the mixture with the best of the settings and the weights of maximum likelihood."""
        tried = [(*self._fitted(setting), setting) for setting in settings]
        bits, weights, best = min(tried, key=lambda fitted: fitted[0])
        chosen: dict[str, object] = {"tried": len(settings), "requests": len(self.requests), "validation_bits": bits}
        chosen["weights"] = dict(zip(best.names, weights.tolist(), strict=True))
        return ShareMixture(name, self.index(best), weights, chosen)

    def _fitted(self, options: SharesContext) -> tuple[float, Tensor]:
        """Returns the bits of the validation targets, and the weights."""
        probabilities, present = self.at_targets(self.index(options))
        weights = with_floor(fit_mixture(probabilities, present), -COUNTED)
        likelihood = (probabilities @ weights) / (present.float() @ weights)
        return -float(likelihood.double().log().mean()) / math.log(2.0), weights

    def at_targets(self, index: SharesIndex) -> tuple[Tensor, Tensor]:
        """Returns the targets' ``(M, K)`` probabilities under every part, and whether the part is present."""
        pieces = []
        for requests, request, item in self.chunks(self.requests):
            shares = index(requests)
            pieces.append((shares.at(request, item), shares.present[request]))
        probabilities, present = (torch.cat(column) for column in zip(*pieces, strict=True))
        return probabilities, present

    def chunks(self, requests: Requests) -> Iterator[tuple[Requests, Tensor, Tensor]]:
        """Yields requests in chunks, with request (within the chunk) and item of their :meth:`targets`."""
        chunk = max(1, min(CHUNK, CHUNK_CELLS // self.log.num_items))
        for start in range(0, len(requests), chunk):
            asked = requests[start : start + chunk]
            yield asked, *self.targets(asked)

    def targets(self, requests: Requests) -> tuple[Tensor, Tensor]:
        """Returns ``(M,)`` request and item of every target that is a candidate."""
        request, item, _ = available_targets(self.log, requests, self.candidates)
        return torch.from_numpy(request), torch.from_numpy(item)
