"""What the API pages show beyond plain docstrings: this repository's columns and comments.

Columns, a name and two or more spaces before its meaning, become lists. Fields say shape and dtype
in a comment at the end of their line: these become a section of their class.
"""

import io
import re
import tokenize
from typing import Any

import griffe

ROW = re.compile(r"^( {0,3})(\S+(?: \S+)*?) {2,}(\S.*)$")  # four spaces begin code
TAG = re.compile(r"<(?=[a-z/])")


def columns_as_lists(docstring: str) -> str:
    """Return `docstring` with its blocks of two columns as Markdown lists."""
    return "\n\n".join(_as_list(block) or block for block in docstring.split("\n\n"))


def _as_list(block: str) -> str:
    """Return a block that ends in two or more rows of two columns as a list, "" for any other."""
    before: list[str] = []
    items: list[str] = []
    indent = ""
    for line in block.split("\n"):
        row = ROW.match(line)
        if row:
            indent = row[1]
            items.append(f"- `{row[2]}`: {row[3]}")
        elif not items:
            before.append(line)
        elif line.startswith(f"{indent}  "):
            items[-1] += f" {line.strip()}"
        else:
            return ""
    return "\n".join([*before, "", *items]) if len(items) > 1 else ""


def without_html(docstring: str) -> str:
    """Return `docstring` with each `<name>` as text: it stands for a word, and is no HTML."""
    parts = docstring.split("`")  # every other one is code
    return "`".join([part if i % 2 else TAG.sub("&lt;", part) for i, part in enumerate(parts)])


def comment_at_end(line: str) -> str:
    """Return the comment that ends a line of code, without its sign; "" where there is none."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line.strip()).readline))
    except tokenize.TokenError:  # the line opens a bracket
        return ""
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return comments[0].lstrip("# ") if comments else ""


class Docstrings(griffe.Extension):
    """Prepares docstrings for mkdocstrings."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Turn an object's docstring into Markdown."""
        if obj.docstring:
            obj.docstring.value = columns_as_lists(without_html(obj.docstring.value))

    def on_class_members(self, *, node: Any, cls: griffe.Class, **kwargs: Any) -> None:
        """Add a section of the fields that say in a comment what they are."""
        fields = [
            member
            for name, member in cls.members.items()
            if isinstance(member, griffe.Attribute)
            and member.annotation
            and name[0] != "_"
            and "property" not in member.labels
        ]
        comments = {field.name: comment_at_end(field.source) for field in fields}
        if cls.docstring and any(comments.values()):
            shown = list(comments.items())
            if cls.decorators:  # a dataclass: its signature has all fields
                shown = [(name, comment) for name, comment in shown if comment]
            lines = [f"    {name}: {comment or '-'}" for name, comment in shown]
            cls.docstring.value += "\n\nAttributes:\n" + "\n".join(lines)
