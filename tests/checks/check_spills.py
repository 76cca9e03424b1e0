#!/usr/bin/env python3
"""Fails when a kernel spills registers or keeps arrays in local memory.

usage: check_spills.py OBJECT...

Reads OBJECT.resources, what nvcc --resource-usage printed when it made that object (cmake/keep_resource_report.sh
keeps it). Prints the registers of every kernel.
"""
import re
import subprocess
import sys
from pathlib import Path

# A few bytes of stack, an argument block say, cost nothing; an array that did not fit in registers is far larger.
MAX_STACK_BYTES = 16

FUNCTION = re.compile(r"Function properties for (\S+)")
MEMORY = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")


def parse(report):
    """{mangled name: {"stack", "stores", "loads", "registers"}} of all functions in the report."""
    functions, name = {}, None
    for line in report.splitlines():
        if match := FUNCTION.search(line):
            name = match.group(1)
        elif match := MEMORY.search(line):
            functions[name] = dict(zip(("stack", "stores", "loads"), map(int, match.groups())))
        elif match := REGISTERS.search(line):
            functions[name]["registers"] = int(match.group(1))
    return functions


def demangle(names):
    try:
        run = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
        return run.stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return names


def main():
    reports = [Path(argument + ".resources") for argument in sys.argv[1:]]
    functions = {}
    for report in reports:
        if not report.is_file():
            sys.exit(f"check_spills: {report} does not exist: build with CUDA first")
        functions.update(parse(report.read_text()))
    kernels = {name: usage for name, usage in functions.items() if "registers" in usage}
    if not kernels:
        sys.exit(f"check_spills: no kernel in {', '.join(map(str, reports)) or 'no report'}")

    failed = False
    for name, readable in zip(functions, demangle(list(functions))):
        usage = functions[name]
        bad = usage["stores"] > 0 or usage["loads"] > 0 or usage["stack"] > MAX_STACK_BYTES
        failed |= bad
        print(
            f"{'FAIL' if bad else 'ok  '} {usage.get('registers', '-'):>3} registers, {usage['stack']} bytes of stack, "
            f"{usage['stores']} / {usage['loads']} bytes of spill stores / loads: {readable}"
        )
    print(f"{len(kernels)} kernels, at most {max(k['registers'] for k in kernels.values())} registers")
    sys.exit(failed)


if __name__ == "__main__":
    main()
