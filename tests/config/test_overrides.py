"""Values that go through Hydra's grammar of overrides and come out as they were."""

from __future__ import annotations

import itertools

from hydra.core.override_parser.overrides_parser import OverridesParser

from seasonrec.config.grammar import quoted


def test_whatever_is_quoted_comes_back_as_it_was() -> None:
    parser = OverridesParser.create()
    values = ["".join(some) for length in range(5) for some in itertools.product("a'\\", repeat=length)]
    values += ["a b=c, d", "${name}", '"', "[1]", "null", "C:\\data\\it's"]
    assert len(values) > 100
    for value in values:
        override = parser.parse_override(f"key={quoted(value)}")
        assert (override.key_or_group, override.value()) == ("key", value)
