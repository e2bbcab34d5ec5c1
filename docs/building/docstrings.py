"""What the API pages show beyond plain docstrings: this repository's columns and comments.

Columns, a name and two or more spaces before its meaning, become lists. Fields say shape and dtype
in a comment at the end of their line; where they have no docstring, that is theirs.
"""

import ast
import io
import re
import tokenize
from typing import Any

import griffe

ROW = re.compile(r"^(\S+(?: \S+)*?) {2,}(\S.*)$")
SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$")


def columns_as_lists(docstring: str) -> str:
    """Return `docstring` with its blocks of two columns as Markdown lists."""
    return "\n\n".join(_as_list(block) or block for block in docstring.split("\n\n"))


def _as_list(block: str) -> str:
    """Return a block of two columns as a list, or "" for any other block."""
    items: list[str] = []
    for line in block.split("\n"):
        row = ROW.match(line)
        if row:
            items.append(f"- `{row[1]}`: {row[2]}")
        elif items and line.startswith("  ") and not SECTION.match(line):
            items[-1] += f" {line.strip()}"
        else:
            return ""
    return "\n".join(items)


def comment_at_end(line: str) -> str:
    """Return the comment that ends a line of code, without its sign; "" where there is none."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line.strip()).readline))
    except tokenize.TokenError:  # the line opens a bracket
        return ""
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    comment = comments[0].lstrip("# ") if comments else ""
    return "" if comment.startswith(("type:", "noqa")) else comment


class Docstrings(griffe.Extension):
    """Prepares docstrings for mkdocstrings."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Turn an object's columns into lists."""
        if obj.docstring:
            obj.docstring.value = columns_as_lists(obj.docstring.value)

    def on_attribute_instance(
        self, *, node: ast.AST | griffe.ObjectNode, attr: griffe.Attribute, **kwargs: Any
    ) -> None:
        """Take the comment behind a field for its docstring."""
        line = "" if isinstance(node, griffe.ObjectNode) else attr.source
        comment = comment_at_end(line) if "\n" not in line else ""
        if comment and not attr.docstring:
            attr.docstring = griffe.Docstring(comment, parent=attr)
