"""The dependencies that pyproject.toml declares are those that the code imports."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Declared, but imported by another package on our behalf.
IMPORTED_BY_OTHERS = {
    "pyarrow": "geopandas reads and writes GeoParquet with it",
    "tensorboard": "Lightning's TensorBoardLogger writes its event files with it",
}
# Modules that are imported only when a user chose what the extra is for.
MODULES_OF_AN_EXTRA = {
    "psycopg": {"tsfal_geo/labels/postgis_store.py", "tsfal_geo/labels/postgis_schema.py"},
}


class Import(NamedTuple):
    """An import statement: the distributions that may provide its package, and where it stands."""

    distributions: frozenset[str]
    path: str
    line: int
    guarded: bool  # inside a function, a try block or `if TYPE_CHECKING`

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {' or '.join(sorted(self.distributions))}"


def canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def names(requirements: list[str]) -> Iterator[str]:
    """Distribution names of requirements; the project's own extras are followed."""
    for requirement in requirements:
        name = requirement.partition("[")[0]
        for separator in "<>=!~; ":
            name = name.partition(separator)[0]
        if canonical(name) == canonical(PROJECT["name"]):
            for extra in requirement.partition("[")[2].partition("]")[0].split(","):
                yield from names(PROJECT["optional-dependencies"][extra.strip()])
        else:
            yield canonical(name)


CORE = set(names(PROJECT["dependencies"]))
EXTRAS = {
    name
    for extra, listed in PROJECT["optional-dependencies"].items()
    if extra != "dev"
    for name in names(listed)
}
DEV = set(names(PROJECT["optional-dependencies"]["dev"]))


def modules_of(tree: ast.AST, guarded: bool = False) -> Iterator[tuple[str, int, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno, guarded
        checks_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        opens_guard = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Try) or checks_types
        yield from modules_of(node, guarded or opens_guard)


@cache
def providers() -> dict[str, frozenset[str]]:
    found = packages_distributions().items()
    return {package: frozenset(map(canonical, distributions)) for package, distributions in found}


def imports_of(folder: str) -> list[Import]:
    """All imports of installed packages below a folder, save the standard library's and the project's own."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        for module, line, guarded in modules_of(ast.parse(path.read_text(encoding="utf-8"))):
            package = module.partition(".")[0]
            distributions = providers().get(package, frozenset({canonical(package)}))
            if package not in sys.stdlib_module_names and canonical(PROJECT["name"]) not in distributions:
                found.append(Import(distributions, place, line, guarded))
    return found


@pytest.fixture(scope="module")
def imported() -> list[Import]:
    return imports_of("tsfal_geo")


def test_every_imported_package_is_declared(imported: list[Import]) -> None:
    assert [str(each) for each in imported if not each.distributions & (CORE | EXTRAS)] == []


def test_packages_of_extras_are_imported_only_where_they_are_needed(imported: list[Import]) -> None:
    def allowed(each: Import) -> bool:
        modules = set().union(*(MODULES_OF_AN_EXTRA.get(name, set()) for name in each.distributions))
        return each.guarded or each.path in modules

    optional = [each for each in imported if not each.distributions & CORE]
    assert optional, "no import of an extra was found"
    assert [str(each) for each in optional if not allowed(each)] == []


def test_modules_of_an_extra_are_imported_only_inside_functions() -> None:
    paths = {path for each in MODULES_OF_AN_EXTRA.values() for path in each}
    assert all((ROOT / path).is_file() for path in paths)
    modules = {path.removesuffix(".py").replace("/", ".") for path in paths}
    for path in (ROOT / "tsfal_geo").rglob("*.py"):
        if path.relative_to(ROOT).as_posix() not in paths:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            top = {module for module, _, guarded in modules_of(tree) if not guarded}
            assert not top & modules, path


def test_every_declared_package_is_imported(imported: list[Import]) -> None:
    used = set().union(*(each.distributions for each in imported))
    assert sorted((CORE | EXTRAS) - used - IMPORTED_BY_OTHERS.keys()) == []
    assert IMPORTED_BY_OTHERS.keys() <= CORE | EXTRAS


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "scripts", "sample_tiles"])
def test_what_the_checkout_imports_comes_with_dev(folder: str) -> None:
    installed = set().union(*providers().values())
    third_party = [each for each in imports_of(folder) if each.distributions & installed]
    assert third_party
    assert [str(each) for each in third_party if not each.distributions & (CORE | DEV)] == []


def test_dev_has_every_extra_and_repeats_nothing() -> None:
    assert EXTRAS <= DEV
    assert not DEV & CORE


def test_guards_are_recognised() -> None:
    tree = ast.parse(
        "import a\nfrom b.c import d\nfrom . import e\n"
        "if TYPE_CHECKING:\n    import f\n"
        "try:\n    import g\nexcept ImportError:\n    pass\n"
        "def h():\n    if True:\n        from i import j\n"
    )
    assert [(module, guarded) for module, _, guarded in modules_of(tree)] == [
        ("a", False),
        ("b.c", False),
        ("f", True),
        ("g", True),
        ("i", True),
    ]
