"""RecBole: its ``SASRec`` with cross-entropy loss, data set and trainer."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.interaction import Interaction
from recbole.data.utils import get_dataloader
from recbole.model.sequential_recommender import SASRec
from recbole.trainer import Trainer
from recbole.utils import init_seed

from benchmarks.peers.serve import Runner, Settings, StepClock, serve


class StopTraining(Exception):
    """End of the training; RecBole's trainer cannot be stopped within an epoch in another way."""


class Clocked:
    """Loader that reports the end of a step to the clock when the next batch is requested."""

    def __init__(self, loader: Any, clock: StepClock) -> None:
        self.loader, self.clock = loader, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            yield batch
            if self.clock.tick(len(batch)):
                raise StopTraining


class RecBoleRunner(Runner):
    """Training with one target per sequence: a user's ``n`` events give ``n - 1`` sequences."""

    packages = ("recbole", "numpy")

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        warnings.simplefilter("ignore")
        self.folder = Path(settings.scratch)

    def convert(self) -> None:
        """Writes RecBole's format, with ranks as times, because RecBole's float32 resolves only 64 seconds."""
        events = pd.read_csv(self.settings.events).sort_values(["user_id", "timestamp"], kind="stable")
        events["timestamp"] = events.groupby("user_id").cumcount()
        events.columns = ["user_id:token", "item_id:token", "timestamp:float"]
        (self.folder / "log").mkdir(exist_ok=True)
        events.to_csv(self.folder / "log" / "log.inter", sep="\t", index=False)
        self.num_events = len(events)

    def prepare(self) -> int:
        self.config = Config(model="SASRec", dataset="log", config_dict=self._options())
        init_seed(self.config["seed"], self.config["reproducibility"])
        logging.disable(logging.INFO)
        self.dataset = create_dataset(self.config)
        self.sequences = self.dataset.build()[0]
        self.loader = get_dataloader(self.config, "train")(self.config, self.sequences, None, shuffle=True)
        return self.num_events

    def train(self, clock: StepClock) -> None:
        self.model = SASRec(self.config, self.sequences)
        trainer = Trainer(self.config, self.model)
        with contextlib.suppress(StopTraining):
            trainer.fit(Clocked(self.loader, clock), None, verbose=False, saved=False, show_progress=False)

    def infer(self) -> tuple[Sequence[Any], Sequence[Sequence[Any]]]:
        users, batch = self._last_sequences()
        best = []
        self.model.eval()
        with torch.no_grad():
            for start in range(0, len(users), self.config["eval_batch_size"]):
                part = slice(start, start + self.config["eval_batch_size"])
                scores = self.model.full_sort_predict(batch[part])
                scores[:, 0] = -torch.inf  # padding, as in RecBole's own evaluation
                best.append(torch.topk(scores, self.settings.top_k, dim=1).indices)
        items = torch.cat(best).numpy()
        return self.dataset.id2token("user_id", users).tolist(), self.dataset.id2token("item_id", items).tolist()

    def _last_sequences(self) -> tuple[np.ndarray, Interaction]:
        """Returns each user's last events, including the last target, in the format of RecBole's model."""
        length = self.settings.length
        features = self.sequences.inter_feat  # one row per target; the last row of a user has the largest time
        users, times = features["user_id"].numpy(), features["timestamp"].numpy()
        order = np.lexsort((times, users))
        last = order[np.flatnonzero(np.append(users[order][1:] != users[order][:-1], True))]
        rows = features[last]
        items, lengths = rows["item_id_list"].clone(), rows["item_length"]
        full = lengths == length
        items[full] = torch.roll(items[full], -1, dims=1)
        lengths = torch.where(full, lengths, lengths + 1)
        items[torch.arange(len(items)), lengths - 1] = rows["item_id"]
        return users[last], Interaction({"item_id_list": items, "item_length": lengths})

    def _options(self) -> dict[str, Any]:
        return {
            "data_path": str(self.folder),
            "checkpoint_dir": str(self.folder / "saved"),
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "eval_args": {"split": {"RS": [1.0, 0.0, 0.0]}, "group_by": "none", "order": "TO", "mode": "full"},
            "train_neg_sample_args": None,
            "loss_type": "CE",
            "MAX_ITEM_LIST_LENGTH": self.settings.length,
            "hidden_size": self.settings.width,
            "inner_size": self.settings.width,
            "n_layers": self.settings.layers,
            "n_heads": self.settings.heads,
            "hidden_act": "relu",
            "hidden_dropout_prob": self.settings.dropout,
            "attn_dropout_prob": self.settings.dropout,
            "train_batch_size": self.settings.batch_size,
            "learning_rate": self.settings.learning_rate,
            "epochs": self.settings.epochs,
            "seed": self.settings.seed,
            "use_gpu": False,
            "show_progress": False,
            "state": "ERROR",
        }


if __name__ == "__main__":
    serve(RecBoleRunner)
