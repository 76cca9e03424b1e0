#!/usr/bin/env python3
"""The Python package as pip installs it, compiled against an installed tree of a build.

usage: python_package.py build BUILD     pip install into BUILD/python_package/site
       python_package.py test BUILD      pytest of tests/python
       python_package.py torch BUILD     pytest of tests/python/torch

Runs itself by a Python that `./run test` has installed; exits with 77 where there is none.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from environments import run_by, skip

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests/python"

command, folder = sys.argv[1], Path(sys.argv[2]).absolute()
if command == "torch":
    run_by("torch", "torch", "recbole", "fuxictr", "pytest")
else:
    run_by("python", "nanobind", "scikit_build_core", "pandas", "pytest")


def run(*words):
    said = subprocess.run(words, text=True, capture_output=True)
    if said.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))} ended with {said.returncode}:\n{said.stdout}{said.stderr}")


def build():
    place = folder / "python_package"
    shutil.rmtree(place, ignore_errors=True)
    run("cmake", "--install", folder, "--prefix", place / "prefix")
    settings = {
        "build-dir": place / "build",
        "cmake.define.SLLMR_INSTALLED": "ON",
        "cmake.define.CMAKE_PREFIX_PATH": place / "prefix",
    }
    words = [word for key, value in settings.items() for word in ("-C", f"{key}={value}")]
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-build-isolation", "--no-deps"]
    # nanobind is the environment's, whichever Python is first on PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    run(*pip, *words, "--target", place / "site", ROOT)
    shutil.rmtree(place / "prefix")


def test(*words):
    if not (folder / "python_package/site").exists():
        skip("package: its environment was missing")
    os.environ["PYTHONPATH"] = str(folder / "python_package/site")
    pytest = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", TESTS]
    os.execv(sys.executable, [str(word) for word in [*pytest, *words]])


if command == "build":
    build()
elif command == "torch":
    test(TESTS / "torch")
else:
    test(TESTS, "--ignore", TESTS / "torch")
