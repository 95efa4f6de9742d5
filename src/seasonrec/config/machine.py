"""Check of a configuration against this machine, before anything is read: files, folders, cores, memory."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from seasonrec.config.errors import ConfigError, Mistake, shown
from seasonrec.config.known_names import check_model
from seasonrec.config.slots import Slots, UnclearError
from seasonrec.config.source import find_module
from seasonrec.disk import try_writing
from seasonrec.errors import UserError
from seasonrec.holiday_names import is_country, nearest_holiday, unknown_holidays

FILES = ("events", "items", "users", "path", "calendar")
"""Keys of a data set that name a file or a folder."""
FOLDERS = ("run_dir", "output", "cache_dir")
"""Keys of folders and files that a command writes."""
PROCESSES_PER_CORE = 4
"""Largest number of processes of a run for each core; more wait for each other."""
BYTES_PER_WEIGHT = 16
"""Bytes of a trained weight: itself, its gradient and two moments, in float32."""
GIB = 2**30


def machine_mistakes(config: Mapping[str, Any]) -> list[Mistake]:
    """Returns what this machine lacks for a command.

    Args:
        config: Plain values of a command; values that are missing or of a wrong type are left out here.
    """
    found = [*_data_mistakes(config.get("data"), "data"), *_folder_mistakes(config)]
    for name, node in _components(config.get("domain")):
        found += _data_mistakes(node.get("data"), f"domain.{name}.data")
    found += _holiday_mistakes(config)
    return [*found, *_process_mistakes(config), *_memory_mistakes(config), *_model_mistakes(config, "")]


def check_machine(config: Mapping[str, Any]) -> None:
    """Checks that this machine has what a command needs; see :func:`machine_mistakes`.

    Raises:
        ConfigError: With everything that it lacks.
    """
    if mistakes := machine_mistakes(config):
        raise ConfigError(mistakes)


def memory_bytes() -> int | None:
    """Returns the memory of this machine, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _data_mistakes(node: Any, place: str) -> Iterator[Mistake]:
    if not isinstance(node, Mapping):
        return
    for key in FILES:
        name = node.get(key)
        if isinstance(name, str) and name and not _exists(Path(name).expanduser()):
            source = _source(node)
            remedy = f"download it from {source}, or give the path of a copy" if source else "give the path of a file"
            problem = f"must name a file that exists (the working folder is {Path.cwd()})"
            yield Mistake(f"{place}.{key}", problem, remedy, name)
    zone = node.get("timezone")
    if isinstance(zone, str) and zone and not _is_zone(zone):
        yield Mistake(f"{place}.timezone", "is no time zone", "write for example Europe/London or UTC", zone)
    country = node.get("country")
    if isinstance(country, str) and country and not is_country(country):
        problem = "is no ISO 3166 code that the holidays package knows"
        yield Mistake(f"{place}.country", problem, "write for example US, or null for no holidays", country)


def _source(node: Mapping[str, Any]) -> str | None:
    """Returns the page that gives out a data set's file, the constant ``SOURCE`` of its module, or None."""
    target = node.get("_target_")
    module = find_module(target.rpartition(".")[0]) if isinstance(target, str) else None
    return module.value(ast.Name("SOURCE")) if module is not None and "SOURCE" in module.names else None


def _holiday_mistakes(config: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yields holidays that no country has; the user's own calendar may name others."""
    data, protocol, season = (config.get(slot) for slot in ("data", "protocol", "season"))
    if isinstance(data, Mapping) and data.get("calendar") is not None:
        return
    nodes = [
        ("protocol", protocol, "holidays"),
        *((f"season.{name}", node, "major") for name, node in _components(season)),
    ]
    for place, node, key in nodes:
        names = node.get(key) if isinstance(node, Mapping) else None
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            for name in unknown_holidays(names):
                remedy = f"{nearest_holiday(name)}; days of your own stand in data.calendar"
                yield Mistake(f"{place}.{key}", "is a holiday of no country", remedy, name)


def _folder_mistakes(config: Mapping[str, Any]) -> Iterator[Mistake]:
    for key in FOLDERS:
        name = config.get(key)
        if isinstance(name, str) and name.strip() and "\0" not in name:
            problem = _folder_problem(Path(name).expanduser().absolute(), is_file=key == "output")
            if problem:
                yield Mistake(key, problem, "give a path below a folder that you may write to", shown(name))


def _folder_problem(path: Path, is_file: bool) -> str | None:
    """Returns why a folder cannot be made or written, or None."""
    try:
        long = next((part for part in path.parts if len(os.fsencode(part)) > os.pathconf("/", "PC_NAME_MAX")), None)
        if long is not None or len(os.fsencode(path)) >= os.pathconf("/", "PC_PATH_MAX"):
            return "is too long for this file system"
        place = next(one for one in (path, *path.parents) if one.exists())
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not place.is_dir():
        return None if is_file and place == path else f"{place} is a file"
    try:
        try_writing(place)
    except OSError as error:
        return f"{place} cannot be written ({error.strerror})"
    return None


def _process_mistakes(config: Mapping[str, Any]) -> Iterator[Mistake]:
    trainer = config.get("trainer")
    devices = trainer.get("devices") if isinstance(trainer, Mapping) else None
    if not isinstance(trainer, Mapping) or type(devices) is not int or trainer.get("accelerator", "cpu") != "cpu":
        return
    cores = _cores()
    if devices > cores * PROCESSES_PER_CORE:
        problem = f"starts {devices:,} processes on the CPU, which has {cores} cores here"
        yield Mistake("trainer.devices", problem, f"write at most {cores * PROCESSES_PER_CORE}", str(devices))


def _memory_mistakes(config: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yields sizes whose weights alone do not fit; what a batch needs depends on the data."""
    width, memory = config.get("embedding_dim"), memory_bytes()
    if type(width) is not int or memory is None:
        return
    for slot in ("backbone", "temporal"):
        try:
            layers, heads = (Slots(config, ()).value(slot, key) for key in ("num_layers", "num_heads"))
        except (UnclearError, UserError, TypeError, KeyError):  # told elsewhere
            continue
        if type(layers) is not int or heads is None:
            continue
        needed = 12 * layers * width**2 * BYTES_PER_WEIGHT  # attention 4, feed-forward network 8 matrices
        if needed > memory:
            problem = (
                f"the weights of {slot} with {layers} layers need about {needed / GIB:,.0f} GiB in training, and this "
                f"machine has {memory / GIB:,.0f}"
            )
            yield Mistake("embedding_dim", problem, f"lower it, or {slot}.num_layers", str(width))


def _model_mistakes(node: Any, path: str) -> Iterator[Mistake]:
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        place = f"{path}.{key}".removeprefix(".")
        is_model = key == "reader" or (key == "name" and path == "backbone")
        if is_model and isinstance(value, str) and (problem := check_model(value)):
            yield Mistake(place, *problem, value)
        yield from _model_mistakes(value, place)


def _components(node: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        yield from ((str(name), one) for name, one in node.items() if isinstance(one, Mapping))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
