"""Abbreviations of Complete Journey written out, so that a language model can read an item."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WRITTEN_OUT = {
    "bg": "bag", "bkd": "baked", "bkfst": "breakfast", "bn": "bean", "brd": "bread", "brkfst": "breakfast",
    "btl": "bottle", "btr": "butter", "carb": "carbonated", "catfd": "cat food", "chick": "chicken",
    "chix": "chicken", "choc": "chocolate", "chococlate": "chocolate", "cleang": "cleaning", "cnd": "canned",
    "conc": "concentrate", "cran": "cranberry", "crbntd": "carbonated", "crmd": "creamed",
    "disposible": "disposable", "dnr": "dinner", "dnrs": "dinners", "drng": "dressing", "drnk": "drink",
    "drnking": "drinking", "drnkng": "drinking", "drnks": "drinks", "drsng": "dressing", "dsh": "dish",
    "excp": "except", "fd": "food", "fem": "feminine", "flav": "flavored", "flvr": "flavor", "flvrd": "flavored",
    "frd": "fried", "fre": "fresh", "frz": "frozen", "frzn": "frozen", "gds": "goods", "gm": "general merchandise",
    "grnd": "ground", "hygn": "hygiene", "incl": "including", "jce": "juice", "liq": "liquid", "mach": "machine",
    "misc": "miscellaneous", "mixs": "mixes", "mlk": "milk", "mlt": "multi", "mneral": "mineral", "mnrl": "mineral",
    "mw": "microwave", "mx": "mix", "mxs": "mixes", "oj": "orange juice", "pckgd": "packaged", "pickld": "pickled",
    "pk": "pack", "pkg": "package", "pkgd": "packaged", "pkld": "pickled", "plstc": "plastic", "pnch": "punch",
    "pnt": "peanut", "prem": "premium", "prep": "prepared", "pwdr": "powder", "pwdrs": "powders",
    "refrgratd": "refrigerated", "refrig": "refrigerated", "sald": "salad", "saus": "sausage", "sft": "soft",
    "sgl": "single", "sherbts": "sherbets", "sndwch": "sandwich", "sngl": "single", "specilaty": "specialty",
    "sply": "supplies", "sprd": "spread", "srv": "serve", "stk": "stick", "suppplies": "supplies", "sv": "serve",
    "sw": "sweet", "sweetners": "sweeteners", "syrp": "syrup", "tiss": "tissue", "tort": "tortilla",
    "trsh": "trash", "veg": "vegetable", "vend": "vending", "whl": "whole", "whlsm": "wholesome", "wt": "weight",
    "wtr": "water",
}  # fmt: skip
_JOINED = {"beeralemalt": "beer ale malt", "saucessalsapicantee": "sauces salsa picante"}
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?%?")


def written_out(parts: Iterable[str]) -> str:
    """Returns the distinct parts with their abbreviations written out, separated by commas.

    Example:
        ``written_out(["SFT DRNK 2 LITER BTL CARB INCL", "SOFT DRINKS"])`` gives ``"soft drink 2 liter bottle
        carbonated including, soft drinks"``.
    """
    texts = (" ".join(_expand(word) for word in _WORD.findall(part.lower().replace("&", " and "))) for part in parts)
    return ", ".join(dict.fromkeys(text for text in texts if text))


def _expand(word: str) -> str:
    return _WRITTEN_OUT.get(word) or _JOINED.get(word, word)
