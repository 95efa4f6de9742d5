"""Content of the site that stands elsewhere in the repository: studies, changelog and the options of each group.

A page names a group by `<!-- options: GROUP -->`; the mark becomes a table of the group's yaml files: the comment of
each, and the arguments of its class with their defaults. `<!-- decisions -->` becomes the list of decision pages, and
`<!-- include: FILE -->` the content of a file.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
SHOWN = {".md", ".png", ".pdf", ".csv", ".tex", ".yaml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the studies as they are committed, and the changelog."""
    paths = [path for path in sorted(ROOT.glob("experiments/**/*")) if path.suffix in SHOWN]
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    files.append(File.generated(config, "changelog.md", abs_src_path=str(ROOT / "CHANGELOG.md")))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replaces the marks of a page by what they name."""
    markdown = re.sub(r"<!-- options: (\w+) -->", lambda found: options_table(found[1]), markdown)
    markdown = re.sub(r"<!-- include: (\S+) -->", lambda found: (ROOT / found[1]).read_text("utf-8"), markdown)
    return markdown.replace("<!-- decisions -->", decisions_list())


def options_table(group: str) -> str:
    """Returns a Markdown table of the options of a group of `conf`."""
    paths = sorted((ROOT / "conf" / group).glob("*.yaml"))
    if not paths:
        raise ValueError(f"options: must name a group of conf, got {group!r}.")
    lines = ["| option | meaning | arguments and their defaults |", "|---|---|---|"]
    for path in paths:
        text = path.read_text(encoding="utf-8")
        comment = next(line[2:] for line in text.splitlines() if line.startswith("# ") and "@package" not in line)
        target = re.search(r"_target_: ([\w.]+)", text)
        lines.append(f"| `{path.stem}` | {comment} | {', '.join(_arguments(target[1])) if target else ''} |")
    return "\n".join(lines)


def _arguments(target: str) -> list[str]:
    module, _, name = target.rpartition(".")
    source = (ROOT / "src" / Path(*module.split("."))).with_suffix(".py")
    if not source.is_file():
        source = source.with_suffix("") / "__init__.py"
    nodes = ast.parse(source.read_text(encoding="utf-8")).body
    found = next((node for node in nodes if isinstance(node, ast.ClassDef) and node.name == name), None)
    if found is None:
        return []
    for node in found.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            arguments = node.args.args[1:]
            defaults = [None] * (len(arguments) - len(node.args.defaults)) + list(node.args.defaults)
            return [_shown(one.arg, default) for one, default in zip(arguments, defaults, strict=True)]
    fields = [node for node in found.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    return [_shown(node.target.id, node.value) for node in fields if isinstance(node.target, ast.Name)]


def _shown(name: str, default: ast.expr | None) -> str:
    return f"`{name}={ast.unparse(default)}`" if default is not None else f"`{name}`"


def decisions_list() -> str:
    """Returns the list of decision pages, newest first."""
    lines = []
    for path in sorted((ROOT / "docs" / "decisions").glob("2*.md"), reverse=True):
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        lines.append(f"- {path.name[:10]}: [{title}]({path.name})")
    return "\n".join(lines)
