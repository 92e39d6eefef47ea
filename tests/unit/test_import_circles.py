"""No module needs itself by way of others: what is imported inside a function, or for types alone, counts as well."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "calico_rkt"


def graph_of(top):
    """Each module of a folder, and the modules of it that its text names in an import, wherever that stands."""
    files = {module_of(path): path for path in (ROOT / top).rglob("*.py")}
    return {module: set(imports_of(ast.parse(path.read_text()), files)) - {module} for module, path in files.items()}


def module_of(path):
    return ".".join((PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def imports_of(tree, known):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in inner if name in known)
            if node.module in known and any(name not in known for name in inner):
                yield node.module


def circles(graph):
    """The groups of modules of which each can be reached from each (Tarjan), the smallest first."""
    number, low, stack, found = {}, {}, [], []

    def visit(module):
        number[module] = low[module] = len(number)
        stack.append(module)
        for other in graph[module]:
            if other not in number:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], number[other])
        if low[module] == number[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for module in graph:
        if module not in number:
            visit(module)
    return sorted(found, key=len)


def test_a_circle_is_seen_through_a_function_and_for_types():
    tree = "import a.b\nif TYPE_CHECKING:\n    from a.c import D\ndef f():\n    from a import d, E\n"
    assert set(imports_of(ast.parse(tree), {"a", "a.b", "a.c", "a.d"})) == {"a", "a.b", "a.c", "a.d"}
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == [["b", "c"]]


@pytest.mark.parametrize("top", ["compiler", "plugin"])
def test_no_module_needs_itself_by_way_of_others(top):
    assert circles(graph_of(top)) == []
