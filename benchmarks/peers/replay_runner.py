"""RePlay: its ``SasRec.from_params`` and parquet loader with a Lightning trainer."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import polars as pl
from replay.data import FeatureHint, FeatureSource, FeatureType
from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorFeatureSource, TensorSchema
from replay.data.nn.utils import groupby_sequences
from replay.nn.lightning import LightningModule
from replay.nn.lightning.callback import TorchTopItemsCallback
from replay.nn.lightning.optimizer import OptimizerFactory
from replay.nn.sequential import SasRec
from replay.nn.transform.template import make_default_sasrec_transforms
from replay.preprocessing import LabelEncoder, LabelEncodingRule

from benchmarks.peers.serve import Runner, Settings, StepClock, serve


class Clocked(L.Callback):
    """Callback that reports the end of each step to the clock."""

    def __init__(self, clock: StepClock) -> None:
        self.clock = clock

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.clock.tick(int(batch["target_padding_mask"].sum())):
            trainer.should_stop = True


class RePlayRunner(Runner):
    """Training on the last ``length + 1`` events of a user, with scores at all positions of a padded matrix."""

    packages = ("replay-rec", "lightning")

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        warnings.simplefilter("ignore")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        self.parquet = str(Path(settings.scratch) / "sequences.parquet")

    def prepare(self) -> int:
        events = pl.read_csv(self.settings.events)
        self.encoder = LabelEncoder([LabelEncodingRule("user_id"), LabelEncodingRule("item_id")])
        encoded = self.encoder.fit_transform(events)
        sequences = groupby_sequences(events=encoded, groupby_col="user_id", sort_col="timestamp")
        sequences.select("user_id", "item_id").write_parquet(self.parquet)
        self.num_items = len(self.encoder.mapping["item_id"])
        self.data = self._module(train_path=self.parquet)
        self.data.setup("fit")
        return len(events)

    def train(self, clock: StepClock) -> None:
        L.seed_everything(self.settings.seed, verbose=False)
        model = SasRec.from_params(
            schema=self._schema(),
            embedding_dim=self.settings.width,
            num_heads=self.settings.heads,
            num_blocks=self.settings.layers,
            max_sequence_length=self.settings.length,
            dropout=self.settings.dropout,
        )
        optimizer = OptimizerFactory("adam", learning_rate=self.settings.learning_rate)
        self.model = LightningModule(model, optimizer_factory=optimizer)
        self._trainer(Clocked(clock), max_epochs=self.settings.epochs).fit(self.model, self.data)

    def infer(self) -> tuple[Sequence[Any], Sequence[Sequence[Any]]]:
        best = TorchTopItemsCallback(top_k=self.settings.top_k, query_column="user_id")
        data = self._module(predict_path=self.parquet)
        self._trainer(best).predict(self.model, data, return_predictions=False)
        users, items, _ = best.get_result()
        user_ids, item_ids = (
            {code: raw for raw, code in self.encoder.mapping[name].items()} for name in ("user_id", "item_id")
        )
        return [user_ids[user] for user in users.tolist()], [[item_ids[item] for item in row] for row in items.tolist()]

    def _schema(self) -> TensorSchema:
        return TensorSchema(
            TensorFeatureInfo(
                name="item_id",
                is_seq=True,
                feature_type=FeatureType.CATEGORICAL,
                feature_hint=FeatureHint.ITEM_ID,
                feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, "item_id")],
                embedding_dim=self.settings.width,
                padding_value=self.num_items,
                cardinality=self.num_items,
            )
        )

    def _module(self, **paths: str) -> ParquetModule:
        def metadata(length: int) -> dict[str, Any]:
            return {"user_id": {}, "item_id": {"shape": length, "padding": self.num_items}}

        return ParquetModule(
            batch_size={"train": self.settings.batch_size, "predict": self.settings.infer_batch_size},
            metadata={"train": metadata(self.settings.length + 1), "predict": metadata(self.settings.length)},
            transforms=make_default_sasrec_transforms(self._schema()),
            **paths,
        )

    def _trainer(self, callback: L.Callback, max_epochs: int = 1) -> L.Trainer:
        return L.Trainer(
            max_epochs=max_epochs,
            accelerator="cpu",
            devices=1,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[callback],
        )


if __name__ == "__main__":
    serve(RePlayRunner)
