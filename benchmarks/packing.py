"""Time of SASRec's forward and backward pass on packed and on padded sequences.

Run:  python -m benchmarks.packing

The results are in ``benchmarks/results/packing.json``. There is one row for each distribution of lengths and each form
of attention, in milliseconds and as a ratio to the padded form (median and quartiles over the rounds). Further rows
search the share of padding from which packing is faster, and report the padding of Complete Journey's training batches.
``PACK_FROM_PADDING`` and ``BUCKETS`` of ``seasonrec.models.backbone.sasrec`` are based on these results.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.timing import in_turns, ratio, save
from seasonrec.batches.loader import BatchBuilder, LoaderOptions, TrainingLoader
from seasonrec.config.compose import compose
from seasonrec.models.backbone.sasrec import SASRec
from seasonrec.models.kernels.packing import Packing, collect, spread
from seasonrec.runs.opening import open_data

BATCH, WIDTH, HEADS = 128, 64, 2
BUCKET_COUNTS = (1, 2, 4, 8)
BIN = 256
"""Minimum number of tokens in a bin of the block-diagonal form; a larger number wastes more of the mask."""
UNSUPPORTED = {
    "jagged": "scaled_dot_product_attention of jagged nested tensors has no causal kernel on a CPU",
    "flex": "flex_attention has no backward on a CPU",
}
Form = Callable[[SASRec, Tensor, Tensor], Tensor]


def main() -> None:
    """Measures each distribution in each form and writes the rows."""
    options = _options()
    torch.set_num_threads(options.threads)
    rows: list[dict[str, Any]] = []
    for length in options.lengths:
        journey = None if options.skip_journey else _journey(options.level, length)
        if journey is not None:
            rows.append(journey.pop("row"))
        for work, is_padding in {**(journey or {}), **_generated(length)}.items():
            rows += _compare(f"{work}, T={length}", is_padding, _forms(), options.rounds)
        for at_least in np.linspace(1, length, 6).astype(int):
            is_padding = _padding(_uniform(int(at_least), length), length)
            two = {name: form for name, form in _forms().items() if name in ("padded", "4 buckets")}
            rows += _compare(f"uniform {at_least}..{length}, T={length}", is_padding, two, options.rounds)
    rows += [{"work": "not run", "form": form, "why": _reason_of_failure(form)} for form in UNSUPPORTED]
    print(f"written to {save(options.output, rows)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--lengths", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--level", default="product_id", help="level of Complete Journey's items")
    parser.add_argument("--skip-journey", action="store_true")
    parser.add_argument("--output", default="packing.json", help="file under benchmarks/results")
    return parser.parse_args()


def _forms() -> dict[str, Form]:
    forms: dict[str, Form] = {"padded": lambda model, inputs, is_padding: model.padded(inputs)}
    for count in BUCKET_COUNTS:
        name = "1 bucket (scattered back to one padded call)" if count == 1 else f"{count} buckets"
        forms[name] = partial(_in_buckets, count)
    forms["block-diagonal mask"] = _block_diagonal
    return forms


def _in_buckets(count: int, model: SASRec, inputs: Tensor, is_padding: Tensor) -> Tensor:
    return model.packed(inputs, Packing.of(is_padding, count))


def _block_diagonal(model: SASRec, inputs: Tensor, is_padding: Tensor) -> Tensor:
    """Packs sequences into bins of at least ``BIN`` tokens; a bin's mask has one causal block per sequence."""
    packing = Packing.of(is_padding, 1)
    sequence = (packing.positions == 0).cumsum(0) - 1  # (S,)
    starts = (packing.positions == 0).nonzero().squeeze(1)  # (B,) first token of each sequence
    bin_of = (starts // max(BIN, int(packing.positions.max()) + 1))[sequence]  # by start: sequences stay whole
    bin_of = torch.unique(bin_of, return_inverse=True)[1]
    sizes = torch.bincount(bin_of)
    longest, count = int(sizes.max()), len(sizes)
    place = bin_of * longest + torch.arange(len(bin_of)) - (sizes.cumsum(0) - sizes)[bin_of]
    owner = torch.full((count * longest,), -1).index_copy_(0, place, sequence).view(count, longest)
    allowed = (owner[:, None, :, None] == owner[:, None, None, :]) & torch.ones(longest, longest).tril().bool()

    def attend(query_key_value: Tensor, num_heads: int) -> Tensor:
        rows = spread(query_key_value, place, count * longest).unflatten(0, (count, longest))
        parts = rows.unflatten(2, (3 * num_heads, -1)).transpose(1, 2).chunk(3, dim=1)
        mixed = F.scaled_dot_product_attention(*parts, attn_mask=allowed)
        return collect(mixed.transpose(1, 2).flatten(2).flatten(0, 1), place)

    return model.packed(inputs, packing, attend)


def _compare(work: str, is_padding: list[Tensor], forms: dict[str, Form], rounds: int) -> list[dict[str, Any]]:
    """Measures the forward and backward pass over batches with paddings ``(B, T + 1)`` in each form."""
    torch.manual_seed(0)
    facts: Any = SimpleNamespace(embedding_dim=WIDTH, max_seq_len=max(p.shape[1] for p in is_padding) - 1)
    model = SASRec(num_heads=HEADS, facts=facts).train()
    inputs = [torch.randn(*padding.shape, WIDTH, requires_grad=True) for padding in is_padding]

    def run(form: Form) -> None:
        for given, padding in zip(inputs, is_padding, strict=True):
            form(model, given, padding)[~padding].sum().backward()

    seconds = in_turns({name: partial(run, form) for name, form in forms.items()}, rounds)
    share = sum(float(p.sum()) for p in is_padding) / sum(p.numel() for p in is_padding)
    rows = []
    for name, values in seconds.items():
        times = {"milliseconds": round(1000 * float(np.median(values)), 2), **ratio(seconds["padded"], values)}
        rows.append({"work": work, "form": name, "share_of_padding": round(share, 4), **times})
        print(
            f"{work:32} {share:6.1%} padding  {name:46} {times['milliseconds']:9.1f} ms  x{times['ratio']:.2f}",
            flush=True,
        )
    return rows


def _generated(length: int) -> dict[str, list[Tensor]]:
    return {
        "uniform": _padding(_uniform(1, length), length),
        "heavy tail": _padding(lambda draw: np.minimum(1 + draw.pareto(1.0, BATCH) * length / 10, length), length),
    }


def _uniform(least: int, most: int) -> Callable[[np.random.Generator], Any]:
    return lambda draw: draw.integers(least, most + 1, BATCH)


def _padding(lengths: Callable[[np.random.Generator], Any], width: int) -> list[Tensor]:
    """Returns the padding of one batch of start vectors and up to ``width`` events."""
    events = torch.as_tensor(lengths(np.random.default_rng(0))).long()
    return [torch.arange(width + 1) > events[:, None]]


def _journey(level: str, length: int) -> dict[str, Any]:
    """Returns every fortieth batch of Complete Journey's default loader, and a row with the padding of all batches."""
    data = open_data(compose([f"data.level={level}", f"max_seq_len={length}"]), progress=lambda line: None)
    builder = BatchBuilder(data.log, {}, length)
    loader = TrainingLoader(builder, data.split.train_baskets(data.log), LoaderOptions(), data.horizon, 0)
    batches = [F.pad(batch.is_padding, (1, 0)) for batch in loader]
    shares = np.array([float(batch.float().mean()) for batch in batches])
    tokens = np.array([batch.numel() for batch in batches])
    name = f"complete_journey {level}"
    row = {
        "work": f"{name}, T={length}",
        "form": "padding of the training batches",
        "share_of_padding": round(float((shares * tokens).sum() / tokens.sum()), 4),
        "share_by_batch": {f"p{p}": round(float(np.percentile(shares, p)), 4) for p in (50, 90, 99, 100)},
    }
    print(row, flush=True)
    return {"row": row, name: batches[::40]}


def _reason_of_failure(form: str) -> str:
    """Tries a form that torch does not support here, and returns the reason of the failure."""
    tokens = torch.randn(1, HEADS, BIN, WIDTH // HEADS, requires_grad=True)
    try:
        if form == "flex":
            from torch.nn.attention.flex_attention import flex_attention

            torch.compile(flex_attention)(tokens, tokens, tokens).sum().backward()
        else:
            values = tokens.detach().transpose(1, 2).flatten(0, 1).requires_grad_()
            jagged = torch.nested.nested_tensor_from_jagged(values, offsets=torch.tensor([0, 9, BIN])).transpose(1, 2)
            F.scaled_dot_product_attention(jagged, jagged, jagged, is_causal=True)
    except (RuntimeError, NotImplementedError) as error:
        return f"{UNSUPPORTED[form]}: {str(error).splitlines()[0]}"
    return "supported here: measure it"


if __name__ == "__main__":
    main()
