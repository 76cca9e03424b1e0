#!/usr/bin/env python3
"""The Python package as pip installs it, compiled against an installed tree of a build.

usage: python_package.py build BUILD     pip install into BUILD/python_package/site
       python_package.py test BUILD [pytest's arguments]

Runs itself by the Python that `./run test` has installed; exits with 77 where there is none.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from environments import run_by

ROOT = Path(__file__).parents[2]

run_by("python", "nanobind", "scikit_build_core", "pandas", "pytest")


def run(*command):
    said = subprocess.run(command, text=True, capture_output=True)
    if said.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {said.returncode}:\n{said.stdout}{said.stderr}")


def build(folder):
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


def test(folder, words):
    os.environ["PYTHONPATH"] = str(folder.absolute() / "python_package/site")
    tests = ROOT / "tests/python"
    os.execv(
        sys.executable,
        [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tests, *words, tests],
    )


command, folder, *words = sys.argv[1:]
build(Path(folder).absolute()) if command == "build" else test(Path(folder).absolute(), words)
