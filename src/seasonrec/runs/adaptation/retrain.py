"""The adaptation that trains new weights at each origin."""

from __future__ import annotations

from dataclasses import dataclass, replace

from seasonrec.config.schema import RunConfig
from seasonrec.runs.adaptation.base import Update, UpdatePlace
from seasonrec.runs.opening import OpenData
from seasonrec.runs.run import Run
from seasonrec.runs.stages.base import Place
from seasonrec.runs.stages.train import fit_run
from seasonrec.training.continual.ewc import trained_weights


@dataclass(frozen=True)
class Retrain:
    """New weights from the run's seed, trained on everything up to the origin for as many epochs as the run chose.

    Statistics and the demand are fitted again up to the origin. The mixture keeps its weights, which are fitted on
    weeks that the model had not seen.
    """

    is_static = False

    def extended(self, config: RunConfig) -> RunConfig:
        return config

    def __call__(self, run: Run, place: UpdatePlace) -> Update:
        def up_to_the_origin(data: OpenData) -> OpenData:
            cut_s = data.split.validation_from_s
            split = replace(data.split, train_from_s=place.past.from_s, test_from_s=cut_s)  # without a validation part
            return replace(data, split=split, spec=replace(data.spec, train_until_s=split.train_until_s))

        again = run.over(up_to_the_origin)
        again.build(for_training=True)
        result = fit_run(again, Place(place.folder, place.trainer, {}), epochs=place.epochs)
        again.model.mixture.load_state_dict(run.model.mixture.state_dict())
        again.take(again, replace(again.data, split=run.data.split))
        trained = sum(weight.numel() * weight.element_size() for weight in trained_weights(again.model).values())
        requests = len(replace(run.data.split, train_from_s=place.past.from_s).train_baskets(run.data.log))
        return Update(again, requests, trained, earlier_s=result.earlier_s)
