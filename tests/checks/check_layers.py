#!/usr/bin/env python3
"""Fails when a source file breaks the rules of the house.

usage: check_layers.py [ROOT]

  1. kernels <- models <- host <- experiments: no file includes one of a higher layer. Tests and benchmarks may
     include everything, and nothing includes them. Includes of our own files are written from the root. Within host a
     room includes none that comes after it in ROOMS.
  2. Only kernels/exec knows CUDA's runtime, its launch syntax and its macros.
  3. Nobody opens OpenMP regions: kernels/exec/parallel.h shares work out, and carries exceptions out of it.
  4. Test data is read by host/eval alone: host/data makes the split, and no other folder below experiments names
     its test part.
  5. No source of a layer has more than 350 lines.
  6. No typedef: `using` (clang-tidy's check of it reads every header for as long as ten others).
"""
import re
import sys
from pathlib import Path

LAYERS = ["kernels", "models", "host", "experiments"]
ROOMS = ["base", "data", "scores", "config", "ask", "text", "eval", "guidance", "train", "runs"]  # of host
MOST_LINES = 350
FOLDERS = LAYERS + ["tests", "bench"]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
CUDA = re.compile(r"cuda_runtime|cublas_v2|<<<|\b__CUDA\w+")
REGION = re.compile(r"#\s*pragma\s+omp\s+(?!simd)\w+")
TEST_DATA = re.compile(r"\bsplit_?(?:\.|->)test\b|(?:\.|->)test\[|\bctr_test_rows\b")
TYPEDEF = re.compile(r"^\s*typedef\b", re.MULTILINE)


def sources(root):
    """All C++ and CUDA files of the project, as paths relative to `root`."""
    found = (p for folder in FOLDERS for p in (root / folder).rglob("*"))
    return sorted(p.relative_to(root) for p in found if p.suffix in {".h", ".cpp", ".cu"})


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)


def problems(path, text):
    """Yields (line number, message) for the file `path`, relative to the root."""
    folder = path.parts[0]
    code = without_comments(text)

    def at(match):
        return code.count("\n", 0, match.start()) + 1

    for include in INCLUDE.finditer(code):
        target = include.group(1)
        top = target.split("/")[0]
        if top not in FOLDERS:
            yield at(include), f'"{target}": write includes of our own files from the root of the repository'
        elif folder in LAYERS and top not in LAYERS[: LAYERS.index(folder) + 1]:
            yield at(include), f'{folder} must not include "{target}": {top} is above it'
        elif folder == top == "host":
            own, other = path.parts[1], target.split("/")[1]
            for room in (own, other):
                if room not in ROOMS:
                    yield at(include), f"host/{room} is no room of host: {', '.join(ROOMS)}"
                    return
            if ROOMS.index(other) > ROOMS.index(own):
                yield at(include), f'host/{own} must not include "{target}": host/{other} comes after it'
    lines = text.count("\n")
    if folder in LAYERS and lines > MOST_LINES:
        yield 1, f"{lines} lines, more than {MOST_LINES}: split it by concept"
    for use in TYPEDEF.finditer(code):
        yield at(use) + use.group().count("\n"), "typedef: write using"
    if folder in LAYERS and path.parts[:2] != ("kernels", "exec"):
        for use in CUDA.finditer(code):
            yield at(use), f"{use.group()}: only kernels/exec may touch CUDA itself"
    if folder in LAYERS:
        for use in REGION.finditer(code):
            yield at(use), f"{use.group()}: an exception would end the program; use kernels/exec/parallel.h"
    if folder in LAYERS[:3] and path.parts[:2] not in {("host", "data"), ("host", "eval")}:
        for use in TEST_DATA.finditer(code):
            yield at(use), f"{use.group()}: only host/eval reads test data"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2])
    files = sources(root)
    if not files:
        sys.exit(f"check_layers: no sources under {root}")
    failed = False
    for path in files:
        for line, message in problems(path, (root / path).read_text()):
            print(f"{path}:{line}: {message}", file=sys.stderr)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
