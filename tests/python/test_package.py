import ast
import inspect
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import sllmr
from conftest import small_interactions, small_items

ROOT = Path(__file__).parents[2]
PACKAGE = Path(sllmr.__file__).parent


def test_it_needs_no_gpu():
    found = sllmr.devices()
    assert (found.device == "cpu").any()
    assert (found.device == "cuda").any() or "CUDA" in found.attrs["remark"]


def test_everything_public_says_what_it_is():
    for name in sllmr.__all__:
        thing = getattr(sllmr, name)
        assert inspect.getdoc(thing), name
        if not inspect.isclass(thing):
            continue
        for part, member in inspect.getmembers(thing):
            if not part.startswith("_") and part not in dir(ValueError):
                assert inspect.getdoc(member), f"{name}.{part}"


def test_the_stubs_are_of_the_module():
    stub = ast.parse((PACKAGE / "_core.pyi").read_text())
    named = {node.name for node in stub.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    named |= {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    assert named == {name for name in dir(sllmr._core) if not name.startswith("_")}
    assert (PACKAGE / "py.typed").exists()


def test_keys_are_those_of_the_program():
    keys = sllmr.config_keys()
    assert keys.loc["model.width", "default"].isdigit() and (keys.meaning != "").all()


def test_the_program_comes_along():
    said = subprocess.run([sys.executable, "-m", "sllmr", "--version"], capture_output=True, text=True)
    assert said.returncode == 0 and said.stdout.startswith(f"sllmr {sllmr.__version__} ")
    said = subprocess.run([sys.executable, "-m", "sllmr", "train", "nowhere.toml"], capture_output=True, text=True)
    assert said.returncode == 1 and "nowhere.toml" in said.stderr


def test_the_readme_example_runs(tmp_path):
    text = (ROOT / "README.md").read_text()
    (example,) = re.findall(r"^## In Python\n.*?^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(example.strip().splitlines()) <= 12
    data = sllmr.Dataset.from_frame(small_interactions(), small_items(), folder=tmp_path / "made", name="mine")
    shutil.copytree(tmp_path / "made", tmp_path / "data" / "mine")
    said = subprocess.run([sys.executable, "-c", textwrap.dedent(example)], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "auc" in said.stdout and data.name == "mine"
