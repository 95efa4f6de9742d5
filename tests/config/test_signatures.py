from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seasonrec.config.annotations import fits, wants_component, wants_tuple
from seasonrec.config.build import build
from seasonrec.config.check import complete
from seasonrec.config.errors import Mistake
from seasonrec.config.signatures import TargetError, read_signature
from seasonrec.config.source import Module, UnreadableError

PARTS = """
from __future__ import annotations
from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar, Literal
from .constants import WEEK, Mode as Kind
from elsewhere import Foreign

RATE = 0.5

@dataclass(frozen=True)
class Base:
    kind: ClassVar[str] = "base"
    rate: float = RATE
    days: tuple[float, ...] = (WEEK, 2 * WEEK)

@dataclass
class Child(Base):
    mode: Kind = "one"
    names: list[str] = field(default_factory=list)
    hidden: int = field(init=False, default=3)
    _: KW_ONLY
    facts: object

class Plain(Foreign):
    def __init__(self, size: int, part: Base | None = None, *, facts: object, loud: bool = False) -> None:
        self.size, self.part, self.loud = size, part, loud

class Heir(Plain):
    pass

class Bare:
    pass

def function(size: int = -1) -> int:
    return size

class Unclear:
    def __init__(self, size: int = len("four")) -> None: ...
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package whose modules would fail if they were imported: ``elsewhere`` does not exist."""
    root = tmp_path_factory.mktemp("site")
    folder = root / "seasonrec_fixture"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "parts.py").write_text(PARTS)
    (folder / "constants.py").write_text("from typing import Literal\nWEEK = 7.0\nMode = Literal['one', 'two']\n")
    sys.path.insert(0, str(root))
    yield "seasonrec_fixture.parts"
    sys.path.remove(str(root))


def test_reads_a_dataclass_with_its_bases_without_importing(package: str) -> None:
    arguments = read_signature(f"{package}.Child").arguments
    assert list(arguments) == ["rate", "days", "mode", "names", "facts"]
    assert [name for name, argument in arguments.items() if argument.at_run_time] == ["facts"]
    values = [argument.default_value() for argument in arguments.values() if argument.default is not None]
    assert values == [0.5, [7.0, 14.0], "one", []]
    assert package not in sys.modules


def test_reads_constructors_functions_and_heirs(package: str) -> None:
    plain = read_signature(f"{package}.Plain")
    assert list(plain.arguments) == ["size", "part", "facts", "loud"]
    assert list(plain.settable) == ["size", "part", "loud"]
    assert [name for name, argument in plain.arguments.items() if argument.is_required] == ["size"]
    assert list(read_signature(f"{package}.Heir").arguments) == list(plain.arguments)
    assert read_signature(f"{package}.Bare").arguments == {}
    assert read_signature(f"{package}.function").arguments["size"].default_value() == -1


def test_targets_that_do_not_exist(package: str) -> None:
    with pytest.raises(TargetError, match=r"there is no module 'seasonrec_fixture\.part'; did you mean '.*\.parts'"):
        read_signature("seasonrec_fixture.part.Child")
    with pytest.raises(TargetError, match="has no class or function 'Chidl'; did you mean 'Child'"):
        read_signature(f"{package}.Chidl")
    with pytest.raises(TargetError, match=r"give _target_ as package\.module\.Class"):
        read_signature("Child")


def test_a_default_that_only_running_tells_is_refused(package: str) -> None:
    with pytest.raises(UnreadableError, match=r"len\('four'\)"):
        read_signature(f"{package}.Unclear").arguments["size"].default_value()


def test_complete_adds_defaults_at_every_depth(package: str) -> None:
    node = {"size": 2, "part": {"_target_": f"{package}.Child", "rate": 0.1}}
    part = {"_target_": f"{package}.Child", "rate": 0.1, "days": [7.0, 14.0], "mode": "one", "names": []}
    assert complete(node, read_signature(f"{package}.Plain")) == {"size": 2, "part": part, "loud": False}


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("int", [1], [1.0, True, "1", None]),
        ("float", [1, 0.5], [True, "0.5", None]),
        ("bool", [True], [1, "true"]),
        ("str", ["a"], [1, None, ["a"]]),
        ("int | None", [None, 3], ["none"]),
        ("Optional[str]", [None, "a"], [1]),
        ("'float | None'", [None, 1.5], ["a"]),
        ("Literal['a', 1]", ["a", 1], ["b", True, 2]),
        ("tuple[float, ...]", [[], [1, 2.5]], [1.0, ["a"], {"a": 1}]),
        ("tuple[int, str]", [[1, "a"]], [[1], ["a", 1], [1, "a", 2]]),
        ("list[str]", [["a"]], ["a", [1]]),
        ("Sequence[tuple[int, int]]", [[[1, 2]]], [[1, 2]]),
        ("dict[str, int]", [{"a": 1}], [{"a": "b"}, [1]]),
        ("Kind", ["two"], ["three"]),
        ("Callable[..., Component]", [{"_target_": "a.B"}], [{}, {"x": 1}, "a.B", None]),
        ("Path", ["a/b"], [1]),
        ("Any", [1, "a", None, []], []),
    ],
)
def test_fits(annotation: str, good: list[object], bad: list[object]) -> None:
    alias = ast.parse("Kind = Literal['one', 'two']").body[0]
    module = Module("m", Path("m.py"), {"Kind": alias})
    node = ast.parse(annotation, mode="eval").body
    assert [value for value in good if not fits(value, node, module)] == []
    assert [value for value in bad if fits(value, node, module)] == []


def test_kinds_of_annotation() -> None:
    module = Module("m", Path("m.py"), {})

    def parsed(text: str) -> ast.expr:
        return ast.parse(text, mode="eval").body

    assert wants_component(parsed("Callable[..., Season] | None"), module)
    assert not wants_component(parsed("str | Season"), module)
    assert wants_tuple(parsed("tuple[int, ...] | None"), module)
    assert not wants_tuple(parsed("list[int]"), module)


def test_build_binds_partials_and_tuples() -> None:
    node = {
        "_target_": "seasonrec.config.signatures.Signature",
        "target": "x",
        "arguments": {"inner": {"_target_": "seasonrec.config.errors.Mistake", "path": "a"}},
    }
    made = build(node)
    assert made.func.__name__ == "Signature"
    assert made.keywords["target"] == "x"
    assert made.keywords["arguments"]["inner"](problem="b", remedy="c") == Mistake("a", "b", "c")
    protocol = build({"_target_": "seasonrec.evaluation.protocol.Protocol", "top_ks": [1, 2]})
    assert protocol.keywords == {"top_ks": (1, 2)}
    with pytest.raises(TargetError, match=r"there is no module 'no\.such'"):
        build({"_target_": "no.such.Thing"})
