#!/usr/bin/env python3
"""clang-tidy over the project, on all cores, warnings as errors.

usage: tidy.py CLANG_TIDY BUILD_FOLDER

Takes the files and their flags from BUILD_FOLDER/compile_commands.json. A file that passed is not checked again until
it, a file of ours that it includes, its flags or .clang-tidy change (stamps in BUILD_FOLDER/tidy).
"""
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from check_layers import FOLDERS, INCLUDE

ROOT = Path(__file__).parents[2].resolve()


@lru_cache(maxsize=None)
def read(path):
    return path.read_text()


@lru_cache(maxsize=None)
def includes(path):
    return [ROOT / name for name in INCLUDE.findall(read(path)) if (ROOT / name).is_file()]


def inputs(path):
    """`path` and all files of ours that it includes, directly or not."""
    seen, todo = set(), [path]
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += includes(file)
    return sorted(seen)


def config(file):
    """The nearest .clang-tidy: of a generated file, which holds sources of one kind, that of the first."""
    source = file if file.is_relative_to(ROOT) and not file.is_relative_to(ROOT / "build") else includes(file)[0]
    return next(p / ".clang-tidy" for p in source.parents if (p / ".clang-tidy").is_file())


@lru_cache(maxsize=None)
def settings():
    return [read(path) for path in [ROOT / ".clang-tidy", *(p for f in FOLDERS for p in sorted((ROOT / f).rglob(".clang-tidy")))]]


def digest(version, command):
    parts = [version, command["command"], *settings()]
    for file in inputs(Path(command["file"])):
        parts += [str(file), read(file)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def main():
    clang_tidy, build = sys.argv[1], Path(sys.argv[2])
    version = subprocess.run([clang_tidy, "--version"], capture_output=True, text=True, check=True).stdout
    # No warnings but the checks': g++ gave its own. omp.h is clang's (libomp-dev): it cannot read that of GCC 11 and later.
    arguments = ["--quiet", "-p", build, "--extra-arg=-w"]
    stamps = build / "tidy"
    stamps.mkdir(exist_ok=True)

    commands = json.loads((build / "compile_commands.json").read_text())
    todo = {c["file"]: stamps / digest(version, c) for c in commands}
    fresh = {stamp.name for stamp in todo.values()}
    for stamp in stamps.iterdir():
        if stamp.name not in fresh:
            stamp.unlink()
    todo = {file: stamp for file, stamp in todo.items() if not stamp.exists()}

    def check(file):
        run = subprocess.run([clang_tidy, *arguments, f"--config-file={config(Path(file))}", file], capture_output=True, text=True)
        if run.returncode == 0:
            todo[file].touch()
        else:
            print(run.stdout, run.stderr if not run.stdout else "", sep="", file=sys.stderr, flush=True)
        return run.returncode == 0

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        passed = list(pool.map(check, todo))
    print(f"clang-tidy: {len(commands)} translation units, {len(passed)} checked, {passed.count(False)} with findings", file=sys.stderr)
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
