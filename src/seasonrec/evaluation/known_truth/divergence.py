"""Distance of a scorer's probabilities to the true ones, by user and kind of item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from seasonrec.atomic import writing
from seasonrec.batches.requests import Requests
from seasonrec.evaluation.known_truth.kinds import KINDS, SUMS, TRUTH_FILE
from seasonrec.evaluation.known_truth.oracle import UNLIKELY, Oracle
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.candidates import CandidateFilter
from seasonrec.evaluation.ranking.evaluator import Scorer, during_pass

CHUNK = 256
"""Requests scored at once."""


def divergence_table(scorer: Scorer, oracle: Oracle, requests: Requests, protocol: Protocol) -> pl.DataFrame:
    """Returns the probability that a scorer gives to each kind of item, beside the truth, and what the error costs.

    The bits lost are the terms ``q log2(q / p) - (q - p) / ln 2`` of the divergence of the scorer's probabilities ``p``
    from the true ones ``q``. Each is at least 0, and their sum over all items is the expected number of bits that the
    scorer loses to the oracle, free of the noise of the drawn targets.

    Args:
        scorer: Scorer of the log.
        oracle: Oracle of the same log.
        requests: The requests.
        protocol: Gives the rule of the candidates.

    Returns:
        One line per user with a request and kind of item: ``user``, ``kind``, ``requests``, and sums over the requests
        of ``mass``, ``true_mass`` and ``bits_lost``.
    """
    log, sums = oracle.log, np.zeros((oracle.log.num_users, len(KINDS), len(SUMS)))
    candidates = CandidateFilter(protocol.candidates, log)
    with torch.no_grad(), during_pass(scorer):
        for start in range(0, len(requests), CHUNK):
            some = requests[slice(start, start + CHUNK)]
            given, true = (
                torch.softmax(candidates(one.name, one.score(some), some).double(), dim=1).cpu().numpy()
                for one in (scorer, oracle)
            )
            place = some.users[:, None], oracle.kinds(some)
            for column, values in enumerate((given, true, _lost(given, true))):
                np.add.at(sums[..., column], place, values)
    number = np.bincount(requests.users, minlength=log.num_users)
    return _frame(sums, number)


def write_divergence(folder: Path, table: pl.DataFrame) -> None:
    """Writes the table into the folder of a run."""
    with writing(folder / TRUTH_FILE) as temporary:
        table.write_parquet(temporary)


def _lost(given: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio = np.maximum(true, UNLIKELY) / np.maximum(given, UNLIKELY)
    return np.asarray(true * np.log2(ratio) - (true - given) / np.log(2))


def _frame(sums: NDArray[np.float64], number: NDArray[np.int64]) -> pl.DataFrame:
    users = np.flatnonzero(number)
    columns = {
        "user": np.repeat(users, len(KINDS)),
        "kind": list(KINDS) * len(users),
        "requests": np.repeat(number[users], len(KINDS)),
    }
    return pl.DataFrame(columns | {name: sums[users, :, column].ravel() for column, name in enumerate(SUMS)})
