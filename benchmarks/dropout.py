"""Time of the forward and backward pass of our dropout, compared with torch's.

``python -m benchmarks.dropout [--batch 128] [--length 200] [--width 64] [--rounds 30] [--threads 1]``
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import nn

from benchmarks.timing import in_turns, ratio
from seasonrec.models.kernels.dropout import Dropout


def main() -> None:
    """Prints how many times faster our dropout is: the median and the quartiles over the rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    given = torch.randn(options.batch, options.length, options.width, requires_grad=True)
    jobs: dict[str, Callable[[], object]] = {
        name: lambda dropout=dropout: dropout(given).sum().backward()
        for name, dropout in (("ours", Dropout(0.3)), ("torch", nn.Dropout(0.3)))
    }
    seconds = in_turns(jobs, options.rounds)
    found = ratio(seconds["torch"], seconds["ours"])
    print(f"{found['ratio']} times as fast as nn.Dropout ({found['ratio_low']} to {found['ratio_high']})")


if __name__ == "__main__":
    main()
