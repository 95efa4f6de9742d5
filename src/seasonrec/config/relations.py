"""Rules between the values of one slot, and of names of folders; ranges of single values stand in signatures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from seasonrec.config.errors import Mistake, shown
from seasonrec.config.known_names import model_config
from seasonrec.config.slots import Slots

Rule = Callable[[Slots], Iterator[Mistake]]
LONGEST_NAME = 200
"""Bytes of a folder's name that file systems take, less a margin for suffixes."""


def _name(slots: Slots) -> Iterator[Mistake]:
    """Yields a name that is no name of a folder: results and tables of a run are found by it."""
    name = slots.node("name")
    problem = None
    if any(sign in name for sign in "/\\") or name in (".", ".."):
        problem = "is the name of a folder and must have no slash"
    elif not name.isprintable():
        problem = "must have no control characters"
    elif len(os.fsencode(name)) > LONGEST_NAME:
        problem = f"must have at most {LONGEST_NAME} bytes"
    if problem:
        yield Mistake("name", problem, "write for example name=full", shown(name))


def _fractions(slots: Slots) -> Iterator[Mistake]:
    keys = ("validation_fraction", "test_fraction")
    shares = [share for key in keys if (share := slots.value("split", key)) is not None]
    if len(shares) == len(keys) and sum(shares) >= 1:
        problem = f"must leave a part for training together with split.validation_fraction={shares[0]}"
        yield Mistake("split.test_fraction", problem, "lower one of the two", shown(shares[1]))


def _weights(slots: Slots) -> Iterator[Mistake]:
    """Yields weights of which none is above 0."""
    weights = slots.value("augmentation", "weights")
    if weights is not None and not any(weights):
        yield Mistake("augmentation.weights", "must not all be 0", "write [1,1,1,0,0]", shown(weights))
    given = slots.value("balancing", "weights") or {}
    if given and not any(given.values()) and set(given) >= set(slots.recommendation_tasks()):
        problem = "must not all be 0, nothing would be learned"
        yield Mistake("balancing.weights", problem, "give one task a weight above 0", shown(given))


def _layers(slots: Slots) -> Iterator[Mistake]:
    """Yields more layers or positions than a language model has that is installed or in a folder."""
    if slots.option("backbone") != "pretrained":
        return
    config = model_config(slots.value("backbone", "name")) or {}
    has, wanted = config.get("num_hidden_layers"), slots.value("backbone", "num_layers")
    if isinstance(has, int) and wanted is not None and wanted > has:
        problem = f"must be at most {has}, the layers of {slots.value('backbone', 'name')}"
        yield Mistake("backbone.num_layers", problem, "write null for all of them", shown(wanted))
    places, length = config.get("max_position_embeddings"), slots.node("max_seq_len")
    is_learned = config.get("position_embedding_type", "rotary") == "absolute"
    if is_learned and isinstance(places, int) and length + 1 > places:
        problem = f"needs {length + 1:,} positions, and {slots.value('backbone', 'name')} has {places:,}"
        yield Mistake("max_seq_len", problem, f"write at most {places - 1}", shown(length))


RELATIONS: tuple[Rule, ...] = (_name, _fractions, _weights, _layers)
