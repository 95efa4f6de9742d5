"""Hostile ids, texts and names on terminals, in Markdown, LaTeX and CSV."""

from __future__ import annotations

import io

import polars as pl
import pytest
from rich.table import Table

from seasonrec.data.csv_text import with_formulas, without_formulas
from seasonrec.report.markdown import literal, pipe_table
from seasonrec.report.render import escape
from seasonrec.terminal import PlainConsole, plain

HOSTILE = ("[/x] milk", "[bold red]milk[/]", ":skull: milk", "[link=file:///etc/passwd]milk[/link]")


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_is_printed_as_it_is(text: str) -> None:
    file = io.StringIO()
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    PlainConsole(file=file, width=200).print(table)
    assert file.getvalue().count(text) == 3


@pytest.mark.parametrize("text", ["\x1b[2Jmilk", "\x1b]0;title\x07", "a\rb", "\u202eklim", "\x9b31m", "a\x00b"])
def test_control_characters_do_not_reach_a_terminal(text: str) -> None:
    file = io.StringIO()
    PlainConsole(file=file).print(text)
    shown = plain(text) + file.getvalue()
    assert not any(letter in shown for letter in "\x1b\x07\r\u202e\x9b\x00")
    assert "\ufffd" in shown


def test_other_texts_are_not_changed() -> None:
    assert plain("Käse, 日本, été\n\tmilk") == "Käse, 日本, été\n\tmilk"


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1"]
HARMLESS = ["milk", "-5", "+3.2e4", "-.5", "", "'tis", "a=b", None]


def test_formulas_of_a_spreadsheet_begin_with_an_apostrophe_and_come_back() -> None:
    table = pl.DataFrame({"text": [*FORMULAS, *HARMLESS], "number": pl.Series([-1.0] * 16)})
    written = without_formulas(table)
    assert written["text"].to_list() == [*("'" + text for text in FORMULAS), *HARMLESS]
    assert with_formulas(written).equals(table)


def test_markdown_has_no_tags_links_or_further_lines_from_a_name() -> None:
    assert literal("<script>x</script> [a](javascript:b)\n# c") == "&lt;script>x&lt;/script> [a]\\(javascript:b) # c"
    assert literal("p < 0.05, **bold**, no_season") == "p < 0.05, **bold**, no_season"
    assert pipe_table(["row"], [["a|<img src=x>\x1b"]]).splitlines()[2] == "| a\\|&lt;img src=x>\ufffd |"


def test_latex_has_no_command_from_a_name() -> None:
    assert escape("\\input{/etc/passwd}%\n\x1b") == r"\textbackslash{}input\{/etc/passwd\}\% " + "\ufffd"
