"""Tests of the language: first words of docstrings, and words that a reader of the field would not expect."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(ROOT.glob("src/**/*.py"))
PROSE = sorted(ROOT.glob("conf/**/*.yaml"))
PROSE += [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
PROSE += sorted(ROOT.glob("experiments/**/README.md"))
CLAUSE = re.compile(
    r"(As|At|Because|By|For|From|How|If|In|Of|On|So|Than|That|Those|To|Until|What|Whatever|When|Where|Wherever|Whether"
    r"|Which|While|Who|Whom|Whose|Why|With)\b"
)
"""First words that make a docstring a clause instead of a noun phrase or a sentence."""
VERB = re.compile(r"[A-Z][a-z-]*[a-rt-z]s\b")
PLURAL = re.compile(
    r"(Arguments|Baskets|Bits|Blocks|Categories|Cells|Codes|Columns|Days|Decimals|Events|Files|Items|Jobs|Keys|Lines"
    r"|Logits|Metrics|Mistakes|Names|Neighbours|Numbers|Options|Positions|Requests|Rows|Seconds|This|Users|Variables"
    r"|Vectors|Windows|Words)\b(?! (a|an|each|every|its|the)\b)"
)
"""Words that end like a verb in the third person but are nouns."""
UNUSUAL = re.compile(r"\b(feasts?|foresee\w*|foresaw|unborn|anew)\b|without a word", re.IGNORECASE)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _docstrings(owner: ast.Module | ast.ClassDef | ast.FunctionDef) -> Iterator[tuple[ast.AST, int, str]]:
    """Yields owner, line and text of every docstring; an attribute's docstring is its own owner."""
    for place, statement in enumerate(owner.body):
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            yield from _docstrings(statement)
        elif isinstance(statement, ast.Expr):
            match statement.value:
                case ast.Constant(value=str() as text):
                    yield (statement if place else owner), statement.lineno, text


def _begins_with_a_verb(owner: ast.AST) -> bool:
    if not isinstance(owner, ast.FunctionDef) or owner.name.startswith("__"):
        return False
    return not any("property" in ast.unparse(decorator) for decorator in owner.decorator_list)


def _is_wrong(owner: ast.AST, text: str) -> bool:
    needs_verb = _begins_with_a_verb(owner)
    return bool(CLAUSE.match(text) or (needs_verb and (PLURAL.match(text) or not VERB.match(text))))


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_docstrings_begin_with_a_noun_phrase_or_a_verb(path: Path) -> None:
    found = _docstrings(ast.parse(path.read_text(encoding="utf-8")))
    assert [f"{_name(path)}:{line}: {text[:60]}" for owner, line, text in found if _is_wrong(owner, text)] == []


@pytest.mark.parametrize("path", [*SOURCES, *PROSE], ids=_name)
def test_words_are_those_of_the_field(path: Path) -> None:
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    assert [f"{_name(path)}:{number}: {line}" for number, line in lines if UNUSUAL.search(line)] == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Returns the item.", False),
        ("The item.", True),
        ("``(N,)`` items.", True),
        ("Items of a basket.", True),
        ("Process a batch.", True),
        ("What the item is.", True),
    ],
)
def test_a_function_begins_with_a_verb(text: str, wrong: bool) -> None:
    tree = ast.parse(f'def item():\n    """{text}"""')
    assert [_is_wrong(owner, found) for owner, _, found in _docstrings(tree)] == [wrong]
