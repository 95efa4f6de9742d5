"""Names of language models, checked before anything is loaded."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import getproxies

from seasonrec.config.errors import nearest
from seasonrec.config.source import find_module

_MODELS = "seasonrec.models.language.pretrained"
_HUB = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_SECONDS = 3.0
"""Time that the hub has to answer."""


def check_model(name: str) -> tuple[str, str] | None:
    """Returns why a language model cannot be loaded and the remedy, or None.

    Args:
        name: Name of a bundled or fetched model, a folder, or a name of the Hugging Face hub.
    """
    known = [model for table in _tables() for model in table]
    path = Path(name).expanduser()
    if name in known:
        return None
    if name.startswith((".", "/", "~")) or path.is_dir():
        return _folder_problem(path)
    if not _HUB.fullmatch(name):
        return "is neither a folder nor a name of the hub", f"write one of {', '.join(known)}, a folder, or OWNER/NAME"
    if "/" not in name and nearest(name, known).startswith("did you mean"):
        return "is no known language model", nearest(name, known)
    if _is_cached(name) or _answers():
        return None
    return "is not in the cache, and the Hugging Face hub does not answer", f"choose {known[0]}, or give a folder"


def model_config(name: str) -> dict[str, Any] | None:
    """Returns the ``config.json`` of an installed model or of a folder; None where there is none to read."""
    package = _tables()[0].get(name)
    spec = find_spec(package) if package else None
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else Path(name).expanduser()
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _folder_problem(path: Path) -> tuple[str, str] | None:
    file = path / "config.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        return f"{file} was not found", "give the folder of a model of the library transformers"
    except ValueError:
        return f"{file} is no JSON", "download the model again"
    if not isinstance(content, dict) or not isinstance(content.get("model_type"), str):
        return f"{file} names no model_type", "give the folder of a model of the library transformers"
    return None


@cache
def _tables() -> tuple[dict[str, str], dict[str, str]]:
    """Returns the packages of bundled models, and the commands that fetch others, by the models' names."""
    module = find_module(_MODELS)
    assert module is not None
    bundled, fetched = (module.value(ast.Name(name)) for name in ("BUNDLED", "FETCHED"))
    return bundled, fetched


def _is_cached(name: str) -> bool:
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    folder = Path(os.environ.get("HF_HUB_CACHE", home / "hub")) / f"models--{name.replace('/', '--')}"
    return any(folder.glob("snapshots/*/config.json"))


def _answers() -> bool:
    """Returns whether the hub can be reached, or may be behind a proxy; the user has asked for a model of it."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    if getproxies():
        return True
    url = urlparse(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        with socket.create_connection((url.hostname, url.port or 443), _SECONDS):
            return True
    except OSError:
        return False
