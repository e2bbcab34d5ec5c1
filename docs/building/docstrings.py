"""What the API pages show beyond plain docstrings: this repository's columns and comments.

Columns, a name and two or more spaces before its meaning, become lists. Fields say shape and dtype
in a comment at the end of their line: these become a section of their class.
"""

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
    """Return a block of two columns and two rows or more as a list, "" for any other block."""
    items: list[str] = []
    for line in block.split("\n"):
        row = ROW.match(line)
        if row:
            items.append(f"- `{row[1]}`: {row[2]}")
        elif items and line.startswith("  ") and not SECTION.match(line):
            items[-1] += f" {line.strip()}"
        else:
            return ""
    return "\n".join(items) if len(items) > 1 else ""


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
        """Turn an object's columns into lists."""
        if obj.docstring:
            obj.docstring.value = columns_as_lists(obj.docstring.value)

    def on_class_members(self, *, node: Any, cls: griffe.Class, **kwargs: Any) -> None:
        """Add a section of the fields that say in a comment what they are."""
        fields = [
            member
            for name, member in cls.members.items()
            if isinstance(member, griffe.Attribute) and member.annotation and name[0] != "_"
        ]
        comments = {field.name: comment_at_end(field.source) for field in fields}
        if cls.docstring and any(comments.values()):
            shown = list(comments.items())
            if cls.decorators:  # a dataclass: its signature has all fields
                shown = [(name, comment) for name, comment in shown if comment]
            lines = [f"    {name}: {comment or '-'}" for name, comment in shown]
            cls.docstring.value += "\n\nAttributes:\n" + "\n".join(lines)
