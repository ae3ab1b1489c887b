"""Nothing is evaluated from text and nothing is unpickled, anywhere in the source: read from the syntax tree, not believed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
MODULES = sorted(SOURCE.rglob("*.py"))
EVALUATE = {"eval", "exec", "compile"}
IMPORTS = {
    "pickle",
    "_pickle",
    "cPickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "jsonpickle",
    "codeop",
    "code",
    "yaml",
    "ruamel",
}
"""Of `yaml`, whose loaders can make objects, see PARSES; `ruamel` has one that does too."""
PARSES = {"yaml.events", "yaml.error", "yaml.cyaml.CParser", "yaml.loader.BaseLoader"}
"""What of PyYAML only reads a text's form, and makes nothing or texts of it."""
SHELL = {"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell"}


def findings(text):
    """(line, what) of everything that evaluates text, unpickles, or hands text to a shell."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in EVALUATE:
                yield node.lineno, f"{name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="builtins"), attr=name)) if name in EVALUATE:
                yield node.lineno, f"builtins.{name}()"
            case ast.Call(func=ast.Attribute(attr=name)) if name in SHELL:
                yield node.lineno, f"{name}()"
            case ast.keyword(arg="shell", value=value) if not (
                isinstance(value, ast.Constant) and value.value is False
            ):
                yield value.lineno, "shell="
            case ast.Import(names=names):
                yield from ((node.lineno, each.name) for each in names if each.name.partition(".")[0] in IMPORTS)
            case ast.ImportFrom(module=str(module), names=names) if (
                module.partition(".")[0] in IMPORTS and not node.level
            ):
                yield from ((node.lineno, module) for each in names if not {module, f"{module}.{each.name}"} & PARSES)
            case ast.Name(id=name, ctx=ast.Load()) if name in {"eval", "exec"}:
                yield node.lineno, name
            case _:
                pass


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_module_evaluates_text(module):
    """No exception: no code is generated anywhere, conditions are closures over a checked tree."""
    assert list(findings(module.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')", "exec('x = 1')", "compile('1', '', 'eval')", "import pickle", "from pickle import loads", "import marshal",
        "import shelve", "import yaml", "import os\nos.system('x')", "import subprocess\nsubprocess.run('x', shell=True)",
        "import builtins\nbuiltins.eval('1')", "run = eval\nrun('1')", "from yaml import safe_load", "from yaml.loader import Loader",
        "from yaml.cyaml import CLoader, CParser", "from ruamel.yaml import YAML\nYAML()", "import ruamel.yaml\nruamel.yaml.YAML(typ='unsafe')",
    ],
)  # fmt: skip
def test_what_is_looked_for_is_found(text):
    assert list(findings(text))


@pytest.mark.parametrize(
    "text",
    [
        "import re\nre.compile('x')",
        "from yaml.cyaml import CParser",
        "from yaml.events import ScalarEvent",
        "program.compile()",
        "import subprocess\nsubprocess.run(['x'])",
    ],
)
def test_what_is_harmless_is_not(text):
    assert list(findings(text)) == []
