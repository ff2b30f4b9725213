"""Figures of the product's structure: `python -m tests.house`, and the bounds that tests/test_house.py holds.

A file's and a function's lines include blank ones and docstrings. Depth is the longest chain of imports, in modules.
Fan-out is how many other modules of the product a module imports.
"""

import ast
import io
import sys
import tokenize
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
ROOMS = ("features", "scoring", "fetchers", "storage", "bot")


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str  #: dotted
    path: Path

    @cached_property
    def text(self) -> str:
        """The source."""
        return self.path.read_text()

    @cached_property
    def lines(self) -> int:
        """How many lines the file has."""
        return self.text.count("\n")

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.text)

    @cached_property
    def functions(self) -> dict[str, int]:
        """Lines of each function and method, by its name and the line it begins at."""
        return {
            f"{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }

    @cached_property
    def methods(self) -> dict[str, int]:
        """How many methods each class defines itself."""
        return {
            node.name: sum(isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) for one in node.body)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ClassDef)
        }

    @cached_property
    def comment_lines(self) -> int:
        """How many lines hold a comment."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return sum(token.type == tokenize.COMMENT for token in tokens)

    @cached_property
    def imported_names(self) -> set[str]:
        """The dotted names of all imports, those inside functions too."""
        names: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        return names


@dataclass(frozen=True)
class House:
    """All modules of the product and how they import each other."""

    modules: dict[str, Module]

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """The modules of the product that each module imports."""
        packages = {name for name, module in self.modules.items() if module.path.name == "__init__.py"}
        found: dict[str, set[str]] = {}
        for name, module in self.modules.items():
            targets = (module.imported_names & self.modules.keys()) - {name}
            # `from package import module` names both; the package itself counts only where something of it is used
            found[name] = {
                one for one in targets if not (one in packages and any(t.startswith(f"{one}.") for t in targets))
            }
        return found

    def cycles(self) -> list[tuple[str, ...]]:
        """Return the import cycles, each once as a trail of names."""
        found: list[tuple[str, ...]] = []
        finished: set[str] = set()

        def visit(name: str, trail: tuple[str, ...]) -> None:
            if name in trail:
                found.append(trail[trail.index(name) :])
            elif name not in finished:
                for target in sorted(self.imports[name]):
                    visit(target, (*trail, name))
                finished.add(name)

        for name in sorted(self.modules):
            visit(name, ())
        return found

    def deepest(self) -> tuple[str, ...]:
        """Return the longest chain of imports; the house has no cycles."""
        chains: dict[str, tuple[str, ...]] = {}

        def chain(name: str) -> tuple[str, ...]:
            if name not in chains:
                below = max((chain(target) for target in sorted(self.imports[name])), key=len, default=())
                chains[name] = (name, *below)
            return chains[name]

        return max((chain(name) for name in sorted(self.modules)), key=len)


def read_house(root: Path = ROOT, rooms: tuple[str, ...] = ROOMS) -> House:
    """Read every module of the product."""
    paths = (path for room in rooms for path in sorted((root / room).rglob("*.py")))
    names = {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    return House({name: Module(name, path) for name, path in names.items()})


def _spread(values: list[int]) -> str:
    ordered = sorted(values)
    return f"{median(ordered):.0f} / {ordered[int(0.9 * (len(ordered) - 1))]} / {ordered[-1]}"


def _top(values: dict[str, int], count: int = 8) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(values.items(), key=lambda one: -one[1])[:count])


def report(house: House) -> str:
    """Return the figures as text."""
    modules = list(house.modules.values())
    lines = sum(module.lines for module in modules)
    tests = sum(path.read_text().count("\n") for path in (ROOT / "tests").rglob("*.py"))
    functions = {f"{m.name}.{name}": length for m in modules for name, length in m.functions.items()}
    classes = {f"{m.name}.{name}": count for m in modules for name, count in m.methods.items()}
    fan_out = {name: len(targets) for name, targets in house.imports.items()}
    deepest = house.deepest()
    return "\n".join(
        (
            f"files {len(modules)}, lines {lines}, tests {tests} ({tests / lines:.2f} a line)",
            f"lines of a file, median / 90 % / most: {_spread([m.lines for m in modules])}",
            f"lines of a function: {_spread(list(functions.values()))}",
            f"comments: {100 * sum(m.comment_lines for m in modules) / lines:.1f} in 100 lines",
            f"depth {len(deepest)}: {' > '.join(deepest)}",
            f"cycles: {len(house.cycles())}",
            f"fan-out: {_spread(list(fan_out.values()))}: {_top(fan_out)}",
            f"methods of a class: {_top(classes)}",
            f"longest files: {_top({m.name: m.lines for m in modules}, 12)}",
            f"longest functions: {_top(functions)}",
        )
    )


if __name__ == "__main__":
    sys.stdout.write(report(read_house()) + "\n")
