"""Which functions a commit changed: not lines of text, but what they do. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["ChangedCode", "changed_code", "is_changed"]


@dataclass(frozen=True, slots=True)
class ChangedCode:
    """A function, or a statement outside of functions, that the head has otherwise.

    Attributes:
        file: In the repository.
        line: In the head.
        function: Qualified name; empty for a statement of a module or class.
    """

    file: str
    line: int
    function: str

    @property
    def text(self) -> str:
        return f"{self.file}:{self.line} {self.function}".rstrip()


def changed_code(texts: Mapping[str, tuple[str | None, str | None]]) -> list[ChangedCode]:
    """Return what differs between two commits beside comments, docstrings and layout.

    Args:
        texts: Path to the text in base and head; None where a commit has no such file.
    """
    changed: list[ChangedCode] = []
    for file, (base, head) in sorted(texts.items()):
        if head is None:
            changed.append(ChangedCode(file, 0, ""))
            continue
        try:
            before, after = (dict(_parts(ast.parse(text or ""), "")) for text in (base, head))
        except (SyntaxError, ValueError):
            changed.append(ChangedCode(file, 1, ""))  # not Python: all of it
            continue
        known = {meaning for meaning, _ in before.values()}
        for name, (meaning, line) in after.items():
            if name in before and before[name][0] == meaning:
                continue
            if not name.partition("\0")[0] and meaning in known:
                continue  # a statement that only moved
            changed.append(ChangedCode(file, line, name.partition("\0")[0]))
    return changed


def is_changed(name: str, changed: Sequence[ChangedCode]) -> bool:
    """Return whether a function, "file: function", or one that it is defined in, is among the changed code."""
    file, _, function = name.partition(": ")
    own = function.replace(".<locals>", "")
    return any(
        code.file == file
        and code.function
        and (own == code.function or own.startswith(f"{code.function}."))
        for code in changed
    )


def _parts(body: ast.AST, prefix: str) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yield every function by qualified name, and every other statement by number."""
    for number, statement in enumerate(getattr(body, "body", ())):
        name = f"{prefix}{getattr(statement, 'name', '')}"
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, (_meaning(statement), statement.lineno)
        elif isinstance(statement, ast.ClassDef):
            yield from _parts(statement, f"{name}.")
        elif not _is_text(statement):
            yield f"\0{prefix}{number}", (ast.dump(statement), statement.lineno)


def _meaning(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    for node in ast.walk(function):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            del body[0]
    return ast.dump(function)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
