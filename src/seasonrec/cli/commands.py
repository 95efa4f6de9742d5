"""Subcommands of the console script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from seasonrec.config import Composer, ConfTree
from seasonrec.config.compose import RUN_SCHEMA
from seasonrec.config.describe import describe

HYDRA_HINT = "Hydra's flags work unchanged: --multirun, --cfg job, --config-dir DIR, ...; --hydra-help lists them."
THROUGH_HYDRA = (
    "prepare", "train", "baselines", "evaluate", "recommend", "robustness", "counterfactual", "adapt", "forecast",
)  # fmt: skip
"""Commands that run as jobs of Hydra; the others begin with a path."""


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Args:
        name: Name on the command line.
        usage: Arguments after the name, for ``--help``.
        about: Purpose, for ``--help``.
        entry: ``module:function`` to call.
        schema: Dotted name of the class with the command's keys.
        config_name: Its yaml file, without its suffix.
        settings: Settings of Hydra that the command needs.
        shown: Groups and keys that ``--help`` shows; empty for all.
    """

    name: str
    usage: str
    about: str
    entry: str
    schema: str = RUN_SCHEMA
    config_name: str = "train"
    settings: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()

    def composer(self, extra: Path | None = None) -> Composer:
        """Returns the composer of the command's configuration."""
        return Composer(ConfTree.of(extra), self.config_name, self.schema)

    def run(self, *arguments: Any) -> Any:
        """Imports the entry point, calls it and returns its value."""
        module, _, function = self.entry.partition(":")
        return getattr(import_module(module), function)(*arguments)

    def help(self, extra: Path | None = None, overrides: Sequence[str] = ()) -> str:
        """Returns the text of ``--help``, with the keys of the options that the overrides choose."""
        lines = (
            f"seasonrec {self.name}: {self.about}",
            "",
            f"  seasonrec {self.name} {self.usage}",
            "",
            *([HYDRA_HINT, ""] if self.name in THROUGH_HYDRA else []),
            describe(self.composer(extra), overrides, self.shown),
        )
        return "\n".join(lines)


def _small(name: str, usage: str, about: str, entry: str) -> Command:
    return Command(name, usage, about, entry, f"seasonrec.config.schema.{name.capitalize()}Config", "command")


_OF_FORECASTS = (
    "data", "series", "forecaster", "run_dir", "horizon", "origins", "step", "quantiles", "seeds", "reference",
    "future", "jobs", "cache_dir",
)  # fmt: skip
_RUN = "[group=option ...] [key=value ...]"
_TO_RECOMMEND = "checkpoint=DIR users=FILE|all date=2017-12-20 top_k=10 output=FILE.csv [events=FILE]"
_ALL = (
    Command(
        "prepare", _RUN, "prepares a dataset once, for all later runs.", "seasonrec.commands.prepare:run",
        settings=("hydra.run.dir=.", "hydra.sweep.dir=."), shown=("data", "split", "domain", "experiment", "cache_dir"),
    ),
    Command("train", _RUN, "trains one model and evaluates it.", "seasonrec.commands.train:run"),
    Command("baselines", _RUN, "evaluates the counting baselines alone.", "seasonrec.commands.evaluate:run_baselines"),
    _small("evaluate", "checkpoint=DIR [key=value ...]", "evaluates a finished run again.",
        "seasonrec.commands.evaluate:run"),
    _small(
        "ablate", "STUDY.yaml run_dir=DIR [key=value ...] [--config-dir DIR]",
        "runs the missing cells of a study, then its report; other overrides go to every run.", "seasonrec.ablate:run",
    ),
    _small(
        "report", "RUN_DIR [reference=ROW] [against=FILE]",
        "makes the tables and figures of a study again, or beside another row or another study.",
        "seasonrec.ablate:report",
    ),
    _small(
        "robustness", "checkpoint=DIR [key=value ...]",
        "ranks with perturbed inputs and changed histories, and draws what that costs.",
        "seasonrec.commands.robustness:run",
    ),
    _small(
        "counterfactual", "checkpoint=DIR [days=[28,91,182]]",
        "ranks with wrong dates for season and trend, and says what the right date is worth.",
        "seasonrec.commands.counterfactual:run",
    ),
    Command(
        "adapt", "checkpoint=DIR [adaptation=option] [until=YYYY-MM-DD] [key=value ...]",
        "lets a model go on from month to month; each month is ranked before it is learned.",
        "seasonrec.commands.adapt:run", "seasonrec.config.schema.AdaptConfig", "adapt",
    ),
    Command(
        "forecast", "[group=option ...] [forecaster=[A,B]] [key=value ...]",
        "forecasts series of sales, and measures it at rolling origins.", "seasonrec.commands.forecast:run",
        "seasonrec.config.forecast_schema.ForecastConfig", "forecast", shown=_OF_FORECASTS,
    ),
    _small("recommend", _TO_RECOMMEND, "ranks items for users on a date.", "seasonrec.commands.recommend:run"),
)  # fmt: skip
COMMANDS = {command.name: command for command in _ALL}
