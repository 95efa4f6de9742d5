"""Components that Python code builds directly refuse the values that the preflight refuses."""

from __future__ import annotations

from collections import defaultdict
from importlib import import_module

import pytest
from made_values import Setting, settings

from seasonrec.errors import UserError

COMPONENTS: dict[str, list[Setting]] = defaultdict(list)
for setting in settings():
    if setting.has_numbers and "schema" not in setting.signature.target:
        COMPONENTS[setting.signature.target].append(setting)


@pytest.mark.parametrize("target", COMPONENTS)
def test_a_number_below_its_range_is_refused_before_the_constructor_runs(target: str) -> None:
    module, _, name = target.rpartition(".")
    component = getattr(import_module(module), name)
    for setting in COMPONENTS[target]:
        below = {"dict": {"a": -1.0}, "tuple": (-1,)}.get(setting.kind.partition("[")[0], -1)
        with pytest.raises(UserError, match=rf"\.{setting.name}:? .*must .*, got"):
            component(**{setting.name: below})
