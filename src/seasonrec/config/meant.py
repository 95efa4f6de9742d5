"""Names that a user may have meant by an unknown key: synonyms of other libraries, and keys of all groups."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from seasonrec.config.errors import nearest
from seasonrec.config.signatures import TargetError, read_signature
from seasonrec.config.tree import LIST_GROUPS, ConfTree

SYNONYMS = {
    "accelerator": "trainer.accelerator",
    "accumulate_grad_batches": "trainer.accumulate_batches",
    "arch": "backbone",
    "batch": "loader.batch_size",
    "batch_size": "loader.batch_size",
    "bs": "loader.batch_size",
    "clip": "trainer.gradient_clip_norm",
    "d_model": "embedding_dim",
    "dataset": "data",
    "device": "trainer.accelerator",
    "dim": "embedding_dim",
    "dropout_rate": "backbone.dropout",
    "early_stopping": "trainer.patience",
    "embedding_size": "embedding_dim",
    "encoder": "backbone",
    "epoch": "trainer.max_epochs",
    "epochs": "trainer.max_epochs",
    "eval_batch_size": "loader.evaluation_batch_size",
    "file": "data.events",
    "gpus": "trainer.devices",
    "grad_clip": "trainer.gradient_clip_norm",
    "gradient_accumulation_steps": "trainer.accumulate_batches",
    "gradient_clip_val": "trainer.gradient_clip_norm",
    "hidden_dim": "embedding_dim",
    "hidden_size": "embedding_dim",
    "k": "protocol.top_ks",
    "l2": "optimizer.weight_decay",
    "layers": "backbone.num_layers",
    "learning_rate": "optimizer.learning_rate",
    "log_dir": "run_dir",
    "lr": "optimizer.learning_rate",
    "max_epochs": "trainer.max_epochs",
    "max_len": "max_seq_len",
    "max_length": "max_seq_len",
    "maxlen": "max_seq_len",
    "model": "backbone",
    "n_epochs": "trainer.max_epochs",
    "n_heads": "backbone.num_heads",
    "n_layers": "backbone.num_layers",
    "network": "backbone",
    "nhead": "backbone.num_heads",
    "num_blocks": "backbone.num_layers",
    "num_epochs": "trainer.max_epochs",
    "num_neg": "loss.num_negatives",
    "output": "run_dir",
    "output_dir": "run_dir",
    "path": "data.events",
    "random_seed": "seed",
    "random_state": "seed",
    "save_dir": "run_dir",
    "seq_len": "max_seq_len",
    "sequence_length": "max_seq_len",
    "threads": "trainer.num_threads",
    "topk": "protocol.top_ks",
    "tracker": "logger",
    "wd": "optimizer.weight_decay",
    "weight_decay": "optimizer.weight_decay",
    "workers": "trainer.num_threads",
}
"""Names of other libraries with the key here."""

MOST = 3
"""Largest number of keys of one name that a remedy lists."""


def meant(key: str, names: Collection[str], tree: ConfTree) -> str:
    """Returns the remedy for an unknown key of the top level.

    Args:
        key: The key as written, without a value.
        names: Keys and groups of the command.
        tree: Groups and options.
    """
    known = {place: key for place, key in SYNONYMS.items() if key.partition(".")[0] in names}
    last = key.rpartition(".")[2].lower().replace("-", "_")
    if last in known:
        return f"did you mean {known[last]!r}?"
    inside = _keys(tree, names)
    same = sorted({path for path in inside if path.rpartition(".")[2] == last})
    if same:
        return f"did you mean {' or '.join(map(repr, same[:MOST]))}?"
    own = {name: name for name in names}
    elsewhere = known | {path.rpartition(".")[2]: path for path in reversed(inside)}
    for table, cutoff in ((own, 0.75), (elsewhere, 0.75), (own, 0.5)):
        close = difflib.get_close_matches(last, table, n=1, cutoff=cutoff)
        if close:
            return f"did you mean {table[close[0]]!r}?"
    return nearest(key, names)


def meant_inside(path: str, valid: Collection[str]) -> str:
    """Returns the remedy for an unknown key of a component: a near key of it, or the same name elsewhere.

    Args:
        path: Its path, for example ``trainer.lr``.
        valid: The component's keys.
    """
    key = path.rpartition(".")[2]
    other = SYNONYMS.get(key.lower())
    if other is None or difflib.get_close_matches(key, valid, n=1, cutoff=0.8):
        return nearest(key, valid)
    return f"did you mean {other!r}?"


def _keys(tree: ConfTree, names: Collection[str]) -> list[str]:
    """Returns the paths of the keys of all options of a command's groups, in the groups' order."""
    return list(dict.fromkeys(path for group in tree.groups() if group in names for path in _keys_of(tree, group)))


def _keys_of(tree: ConfTree, group: str) -> Iterator[str]:
    for option, target in tree.targets(group).items():
        place = f"{group}.{option}" if group in LIST_GROUPS else group
        try:
            yield from (f"{place}.{key}" for key in read_signature(target).settable)
        except TargetError:  # told where the option is chosen
            continue
