"""Configuration: composed by Hydra and checked against signatures before heavy imports; its nodes are dictionaries."""

from seasonrec.config.build import build
from seasonrec.config.compose import Composer, compose
from seasonrec.config.errors import ConfigError, Mistake
from seasonrec.config.stored import check_stored
from seasonrec.config.tree import ConfTree, conf_dir

__all__ = ["Composer", "ConfTree", "ConfigError", "Mistake", "build", "check_stored", "compose", "conf_dir"]
