"""The structure of the packages: what a linter of imports does not say."""

import ast
import importlib.util
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_MODULES = 25
MOST_LINES = 320


def modules(package):
    """Name to file of every module below a package."""
    base = ROOT if package == "tsfal_geo" else ROOT / "qgis_plugin"
    found = {}
    for path in (base / package).rglob("*.py"):
        parts = path.relative_to(base).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def import_graph(files):
    """Module to the modules that it imports anywhere: at the top, in functions, for types alone."""
    graph = {}
    for name, path in files.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        graph[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names if alias.name in files}
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    start = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*start, *([node.module] if node.module else [])])
                for alias in node.names:
                    whole = f"{base}.{alias.name}"
                    target = whole if whole in files else base
                    graph[name] |= {target} & files.keys() - {name}
    return graph


def test_the_graph_sees_every_kind_of_import(tmp_path):
    sources = {
        "p.a": "import p.b",
        "p.b": "def f():\n    from p import c",
        "p.c": "if TYPE_CHECKING:\n    from .a import x",
    }
    files = {}
    for name, text in sources.items():
        files[name] = tmp_path / f"{name}.py"
        files[name].write_text(text)
    assert import_graph(files) == {"p.a": {"p.b"}, "p.b": {"p.c"}, "p.c": {"p.a"}}


@pytest.mark.parametrize("package", ["tsfal_geo", "tsfal_qgis"])
def test_no_module_imports_itself_by_way_of_others(package):
    TopologicalSorter(import_graph(modules(package))).prepare()


@pytest.mark.parametrize("package", ["tsfal_geo", "tsfal_qgis"])
def test_packages_and_modules_keep_a_size_that_can_be_read(package):
    files = modules(package)
    for folder in {path.parent for path in files.values()}:
        assert len(list(folder.glob("*.py"))) <= MOST_MODULES, folder
    for path in files.values():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, path


@pytest.mark.parametrize("package", ["tsfal_geo", "tsfal_qgis"])
def test_docstrings_say_what_a_thing_is_or_does_and_cite_what_a_reader_can_get(package):
    wrong = []
    for path in modules(package).values():
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                doc = ast.get_docstring(node) or ""
                if re.match(r"(What|Where|Which|How|Whether|Who|When|Why)\b", doc):
                    wrong.append(f"{path.name}: {doc.splitlines()[0]}")
        wrong += [f"{path.name}: {m}" for m in re.findall(r"method, sections? [\d.]+|reading R\d+", text)]
    assert wrong == []


def test_the_map_in_contributing_is_that_of_the_contract():
    spec = importlib.util.spec_from_file_location("package_map", ROOT / "scripts" / "package_map.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert text == script.with_map(text), "run scripts/package_map.py"
