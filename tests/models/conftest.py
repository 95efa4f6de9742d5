from pathlib import Path

import pytest
from peft_cases import Maker
from small_shop import Shop


@pytest.fixture(scope="session")
def language_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("language_models")


@pytest.fixture(scope="session")
def make(shop: Shop, language_model_folder: Path) -> Maker:
    return Maker(shop, language_model_folder)
