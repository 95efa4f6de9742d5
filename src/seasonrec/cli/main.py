"""The console script ``seasonrec``, which imports nothing heavy before the configuration is accepted."""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser

from seasonrec.cli.commands import COMMANDS, Command
from seasonrec.cli.jobs import RefusedAlone, is_plain, run_alone, run_hydra
from seasonrec.config import ConfigError, Mistake
from seasonrec.config.errors import nearest
from seasonrec.config.grammar import WANDB, quoted
from seasonrec.config.machine import machine_mistakes
from seasonrec.config.overrides import SEVERAL, STUDY_KEYS, override_key
from seasonrec.config.rows import changes_of, named, overrides_of, row_mistakes
from seasonrec.config.tree import read_yaml
from seasonrec.errors import UserError
from seasonrec.terminal import plain

REFUSED_FLAGS = ("config_name", "config_path", "experimental_rerun")
"""Flags of Hydra that would bypass the checked configuration."""
MODES = ("run", "multirun", "cfg", "info", "shell_completion")
"""Flags of Hydra of which it takes one."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand.

    Returns:
        0, 2 with a message on stderr where the user's input is refused, or 130 after Ctrl-C.
    """
    name, *arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # no process of this one imports what lies in the working folder
    try:
        code = _command(name, arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of the output has ended, for example head -1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        print(f"seasonrec {name}: stopped", file=sys.stderr)
        return 128 + signal.SIGINT  # the code of a shell after Ctrl-C
    except (RefusedAlone, UserError) as error:
        print(plain(f"seasonrec {name}: {error}"), file=sys.stderr)
        return 2


def _command(name: str, arguments: list[str]) -> int:
    if name in ("-h", "--help"):
        print(_overview())
        return 0
    if name == "--version":
        print(f"seasonrec {version('seasonrec')}")
        return 0
    if name not in COMMANDS:
        print(f"seasonrec: unknown command {name!r}; {nearest(name, COMMANDS)}", file=sys.stderr)
        return 2
    return _DISPATCH.get(name, _through_hydra)(COMMANDS[name], arguments)


def _overview() -> str:
    rows = [f"  {command.name:<14} {command.about}" for command in COMMANDS.values()]
    title = "seasonrec: sequential recommendation that adapts to the season."
    more = "seasonrec COMMAND --help shows its options; seasonrec --version shows the version."
    return "\n".join([title, "", *rows, "", more])


def _through_hydra(command: Command, arguments: list[str]) -> int:
    """Checks all overrides at once, then runs the one job, or lets Hydra run the jobs."""
    flags, unknown = _flags(command, arguments)
    extra = _own_conf(flags.config_dir)
    if flags.help:
        print(command.help(extra, flags.overrides))
        return 0
    composer = command.composer(extra)
    mistakes = [
        Mistake(f"--{flag.replace('_', '-')}", "would bypass the checked configuration", "take it out")
        for flag in REFUSED_FLAGS
        if getattr(flags, flag)
    ]
    dashed = [argument for argument in unknown if argument.startswith("--") and "=" in argument]
    others = [argument for argument in unknown if argument not in dashed]
    mistakes += [*_flag_mistakes(others, "no such flag"), *_hydra_folder_mistakes(command, flags.overrides)]
    node = None
    if not flags.shell_completion:
        node, found = composer.examine([*command.settings, *flags.overrides, *dashed], flags.multirun)
        mistakes += [*found, *(_machine_mistakes(command, composer.plain(node)) if node is not None else ())]
    if mistakes:
        raise ConfigError(mistakes)
    if node is not None and is_plain(flags, node):
        run_alone(command, node)
        return 0
    own_flags = [argument for argument in arguments if argument not in flags.overrides]
    settings = [*command.settings, *_sweep_folder(flags.overrides)]
    run_hydra(command, [*own_flags, *settings, *composer.for_hydra(flags.overrides)])
    return 0


def _machine_mistakes(command: Command, config: dict[str, Any]) -> list[Mistake]:
    """Returns what this machine lacks for the keys that the command shows."""
    return machine_mistakes({key: config[key] for key in config if not command.shown or key in command.shown})


def _flags(command: Command, arguments: list[str]) -> tuple[Namespace, list[str]]:
    """Returns Hydra's flags, and the words that are neither flags nor overrides."""
    parser = get_args_parser()
    parser.prog, parser.allow_abbrev, parser.exit_on_error = f"seasonrec {command.name}", False, False
    try:
        flags, unknown = parser.parse_known_intermixed_args(arguments)
    except ArgumentError as error:
        remedy = f"correct it; seasonrec {command.name} --hydra-help lists the flags"
        raise ConfigError([Mistake(str(error.argument_name), error.message, remedy)]) from error
    modes = [f"--{mode}" for mode in MODES if getattr(flags, mode)]
    if len(modes) > 1:
        raise ConfigError([Mistake(" and ".join(modes), "exclude each other", "keep one of them")])
    return flags, unknown


def _flag_mistakes(flags: Iterable[str], problem: str) -> Iterator[Mistake]:
    for flag in (argument for argument in flags if argument.startswith("-")):
        bare = flag.lstrip("-")
        if "=" in bare:
            yield Mistake(flag, "a key is written without dashes", f"write {bare}; {WANDB}")
        else:
            yield Mistake(flag, problem, "take it out; keys are written key=value, without dashes")


def _hydra_folder_mistakes(command: Command, overrides: list[str]) -> Iterator[Mistake]:
    """Refuses ``hydra.run.dir``, which would move only Hydra's log."""
    for override in overrides:
        key, _, folder = override.partition("=")
        if key.lstrip("+") == "hydra.run.dir":
            has_one = "run_dir" in list(command.composer().keys())
            remedy = f"write run_dir={folder}" if has_one else "take it out"
            yield Mistake("hydra.run.dir", "does not move the results", remedy, folder)


def _own_conf(given: str | None) -> Path | None:
    """Returns the absolute path of the user's own folder of yaml files; other processes need it absolute."""
    if given is None:
        return None
    folder = Path(given).resolve()
    if not given or not folder.is_dir():
        raise ConfigError([Mistake("--config-dir", "no such folder", "give a folder laid out like conf", given)])
    return folder


def _sweep_folder(overrides: list[str]) -> list[str]:
    """Returns the setting that puts the jobs of a multirun under run_dir, unless run_dir has a folder for each job."""
    given = [override.partition("=")[2] for override in overrides if override.startswith("run_dir=")]
    folders = [text if text.startswith(("'", '"')) else quoted(text) for text in given]
    return [f"hydra.sweep.dir={folder}" for folder in folders if "${" not in folder]


def _leading_path(
    command: Command, arguments: list[str], own_conf: Path | None = None
) -> tuple[Path | None, list[str]]:
    """Returns the leading path and the other arguments; prints ``--help`` and returns no path where that is asked."""
    if "-h" in arguments or "--help" in arguments:
        print(command.help(own_conf))
        return None, []
    flags = [argument for argument in arguments if argument.startswith("-")]
    if flags:
        raise ConfigError(_flag_mistakes(flags, f"seasonrec {command.name} takes no flags"))
    if not arguments or ("=" in arguments[0] and not Path(arguments[0]).exists()):
        what = command.usage.partition(" ")[0]
        raise ConfigError([Mistake(what, "missing", f"write seasonrec {command.name} {command.usage}")])
    return Path(arguments[0]), arguments[1:]


def _report(command: Command, arguments: list[str]) -> int:
    path, overrides = _leading_path(command, arguments)
    if path is not None:
        options = command.composer().compose([f"run_dir={quoted(str(path))}", *overrides])
        against = None if options.against is None else Path(options.against)
        command.run(Path(options.run_dir), options.reference, against)
    return 0


def _ablate(command: Command, arguments: list[str]) -> int:
    """Separates the study's own overrides from those of its runs, and checks every row before the first run."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd", nargs="?", const="")
    flags, others = parser.parse_known_args(arguments)
    own_conf = _own_conf(flags.config_dir)
    path, overrides = _leading_path(command, others, own_conf)
    if path is None:
        return 0
    overrides = [override.removeprefix("hydra/") for override in overrides]  # hydra/launcher=joblib is ours here
    own_keys = command.composer().keys()
    own = [override for override in overrides if override.partition("=")[0] in own_keys]
    shared = [override for override in overrides if override not in own]
    taken = [override for override in shared if override_key(override) in STUDY_KEYS]
    mistakes = [*command.composer().mistakes(own), *map(_set_by_the_study, taken)]
    mistakes += _study_mistakes(path, [override for override in shared if override not in taken], own_conf)
    if mistakes:
        raise ConfigError(mistakes)
    settings = {**command.composer().compose(own).as_dict(), "overrides": shared}
    command.run(path, settings if own_conf is None else {**settings, "config_dir": str(own_conf)})
    return 0


def _set_by_the_study(override: str) -> Mistake:
    key, value = override_key(override), override.partition("=")[2]
    in_file = {"experiment": "experiment", "ablation": "rows", "seed": "seeds"}.get(key)
    remedy = f"change {in_file} in the study's file" if in_file else "take it out"
    return Mistake(key, "a study sets it for each of its runs", remedy, value)


def _study_mistakes(path: Path, shared: list[str], own_conf: Path | None) -> list[Mistake]:
    """Returns the mistakes in a study's runs; :func:`seasonrec.ablate.study.read_study` reports those in its file."""
    study = read_yaml(path) if path.is_file() else {}
    rows, own = (study[key] if isinstance(study.get(key), list) else [] for key in ("rows", "overrides"))
    composer = COMMANDS["train"].composer(own_conf)
    named_experiment = study.get("experiment", [])
    experiment = [f"experiment={named_experiment}"] if isinstance(named_experiment, str) else named_experiment
    again = {override.partition("=")[0] for override in shared}  # the command line wins
    kept = [override for override in map(str, own) if override.partition("=")[0] not in again]
    full = [*map(str, experiment), *kept, *shared]
    found = composer.mistakes(full)
    wrong = [list(row_mistakes(row, f"rows[{place}]", composer.tree)) for place, row in enumerate(rows)]
    base = {} if found else composer.compose(full).as_dict()
    found += [mistake for mistakes in wrong for mistake in mistakes]
    for row in [row for row, mistakes in zip(rows, wrong, strict=True) if base and not mistakes]:
        name, changes = named(row)
        try:
            own = overrides_of(changes_of(name, composer.tree) or [] if changes is None else changes, base)
        except ValueError as error:
            found.append(Mistake(f"row {name}", str(error), "correct the row"))
            continue
        changed = {override_key(override) for override in own}
        found += composer.mistakes([*(override for override in full if override_key(override) not in changed), *own])
    return list(dict.fromkeys(map(_of_a_study, found)))


def _of_a_study(mistake: Mistake) -> Mistake:
    """Returns a mistake with a remedy that a study can take; a study has no ``--multirun``."""
    if mistake.problem != SEVERAL:
        return mistake
    remedy = "write a row with each value into the study's file, or run seasonrec train --multirun"
    return replace(mistake, problem="a study has one value for all of its rows", remedy=remedy)


_DISPATCH: dict[str, Callable[[Command, list[str]], int]] = {"ablate": _ablate, "report": _report}
