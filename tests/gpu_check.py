#!/usr/bin/env python3
"""All that only a GPU can tell, in one call that ends on time (through ./run gpu-check).

usage: gpu_check.py [FOLDER] [--budget SECONDS] [--data PATH]

Needs a GPU, CUDA's libraries and tools and the programs of ./run gpu-build (build/portable.tar.gz), but no compiler, no
packages and no network; where there is nvcc it builds the programs itself. Whatever is not there is said before anything
is built or unpacked.

Parity comes first; then what has never passed, or longest ago, by the summaries kept in bench/results. No step gets more
than the budget leaves, and one that would get too little to be of use is left out. FOLDER always holds, also when the
call is killed, what the steps so far have found: summary.txt and summary.json (their figures too), log.txt with
everything they said, and a report of Nsight Compute a kernel. Exits with 1 when a step failed or timed out.
"""
import argparse
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from glob import glob
from pathlib import Path

ROOT = Path(__file__).parents[1].resolve()
PACK = ROOT / "build/portable"
USUAL_BUDGET = 540  # the seconds below are for this budget, and in proportion for another
FILTER = "*Cuda*:*Parity*"
CASES_A_PART = 8  # of one suite under a sanitizer
LOG_SHARE = 300_000  # bytes that a step's output may take in log.txt, from its start and its end each
KERNELS = ["PlainRows<", "RowsWithPairs<", "RowGradients<", "UpdateTouched<"]
BACKBONES = ["dcnv2", "din", "deepfm", "xdeepfm", "autoint", "dcnv1"]
START = time.monotonic()


def elapsed():
    return time.monotonic() - START


# Steps ---------------------------------------------------------------------------------------------------------------


@dataclass
class Step:
    name: str
    command: list
    seconds: float  # at most
    least: float  # below these it is of no use
    tool: str = ""
    judge: object = None  # (exit status, output) -> (passed, a line about it)
    status: str = "did not fit"
    took: float = 0
    detail: str = ""
    figures: object = None

    def record(self):
        entry = {"name": self.name, "status": self.status, "seconds": round(self.took, 1), "detail": self.detail}
        return entry | ({"figures": self.figures} if self.figures else {})


@dataclass
class Group:
    name: str
    seconds: float  # of all its steps, while other groups wait
    steps: list = field(default_factory=list)


def cases(kind, output):
    """Ends of cases; the lists at the end of a program's output have no time."""
    return len(re.findall(rf"^\[ *{kind} \] .* \(\d+ ms\)$", output, re.MULTILINE))


def judge_tests(status, output):
    # A skipped test found no device, which here is a failure.
    ok, skipped, failed = (cases(kind, output) for kind in ("OK", "SKIPPED", "FAILED"))
    return status == 0 and ok > 0 and skipped == failed == 0, f"{ok} passed, {skipped} skipped, {failed} failed"


def judge_sanitizer(status, output):
    passed, detail = judge_tests(status, output)
    summaries = re.findall(r"(?:ERROR|RACECHECK) SUMMARY.*", output)
    return passed and bool(summaries), "; ".join([detail, *summaries])


def judge_figures(status, output):
    lines = output.splitlines()
    return status == 0 and figures_of(output) is not None, lines[-2] if len(lines) > 1 else ""


def figures_of(output):
    """The JSON object that a benchmark prints last, or None."""
    try:
        figures = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return figures if isinstance(figures, dict) else None


def judge_profile(status, output):
    # ncu's exit status says little of --kill, so the details it can read back decide.
    found = re.findall(r"^\s*Duration\s+\S+\s+\S+", output, re.MULTILINE)
    return bool(found), " ".join(found[-1].split()) if found else "nothing was profiled"


def listed(program, environment):
    """Suites and cases of a test program that need a GPU, {suite: [case, ...]}; None where it does not tell."""
    try:
        run = subprocess.run([program, f"--gtest_filter={FILTER}", "--gtest_list_tests"], cwd=ROOT, env=environment,
                             capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    suites = {}
    for line in run.stdout.splitlines():
        if line.startswith("  "):
            suites[suite].append(line.split("#")[0].strip())
        elif line.split("#")[0].strip().endswith("."):
            suite = line.split("#")[0].strip()
            suites[suite] = []
    return {suite: names for suite, names in suites.items() if names}


def groups_of(folder, data, with_torch, environment):
    """All steps, in the order of their worth; the programs lie in PACK."""
    tests = {p.name.removeprefix("test_"): listed(p, environment) for p in sorted(PACK.glob("test_*"))}
    tests = {layer: suites for layer, suites in tests.items() if suites != {}}
    bench = [PACK / "sllmr_bench", "--device", "cuda", "--noisy", *(["--data", data] if data else [])]
    models = [*bench, "--models", "--quick"]

    def sanitized(tool):
        parts = []
        for layer, suites in tests.items():
            for suite, names in (suites or {}).items():
                for first in range(0, len(names), CASES_A_PART):
                    chosen = ":".join(suite + name for name in names[first : first + CASES_A_PART])
                    part = f" from {first}" if first else ""
                    command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "1", PACK / f"test_{layer}",
                               f"--gtest_filter={chosen}"]
                    parts.append((first, Step(f"{tool} {layer} {suite[:-1]}{part}", command, 60, 5, "compute-sanitizer",
                                              judge_sanitizer)))
        return [step for _, step in sorted(parts, key=lambda part: part[0])]  # every suite's first cases first

    def figures(name, command, seconds, least, tool=""):
        return Step(name, command, seconds, least, tool, judge_figures)

    def profile(kernel):
        name = kernel[:-1]
        report = folder / f"{name}.ncu-rep"
        # The body's type is part of the kernel's demangled name. The card's clocks are left as they are.
        script = ('rm -f "$1"; ncu --set full --clock-control none --kernel-name-base demangled -k "regex:$2" -c 2 --kill yes '
                  '-f -o "${1%.ncu-rep}" "${@:3}"; ncu --import "$1" --page details')
        command = ["bash", "-c", script, "profile", report, kernel, PACK / "sllmr_bench", "--quick", "--device", "cuda", "--noisy"]
        return Step(f"ncu {name}", command, 45, 10, "ncu", judge_profile)

    eager = ["--torch", "python3"] if with_torch else []
    compiled = ["--torch", "python3", "--torch-compiled"]
    parity = [Step(f"parity {layer}", [PACK / f"test_{layer}", f"--gtest_filter={FILTER}"], 120, 5, "", judge_tests)
              for layer in tests]
    return [
        Group("parity", 240, parity),
        Group("racecheck", 130, sanitized("racecheck")),
        Group("memcheck", 70, sanitized("memcheck")),
        Group("nccl", 30, [Step("nccl", [PACK / "test_kernels", "--gtest_filter=NcclLink.*"], 30, 5, "nccl", judge_tests)]),
        Group("mf", 60, [figures("mf epochs", [*bench, "--quick"], 60, 10)]),
        Group("graph", 45, [figures(f"graph {b}", [*models, "--backbones", b], 30, 8) for b in BACKBONES]),
        Group("batch 4096", 60, [figures(f"batch 4096 {b}", [*models, "--backbones", b, "--batch", "4096", *eager], 60, 10)
                             for b in BACKBONES]),
        Group("compiled", 80, [figures(f"compiled {b}", [*models, "--backbones", b, *compiled], 80, 25, "torch")
                               for b in BACKBONES]),
        Group("ncu", 90, [profile(kernel) for kernel in KERNELS]),
        Group("sweep", 150, [figures("sweep", bench, 150, 60)]),
    ]


# What is there -------------------------------------------------------------------------------------------------------


def device_name():
    """Name and driver of the GPU, by nvidia-smi or else by CUDA's driver library; "" where there is none."""
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            run = subprocess.run(query, capture_output=True, text=True, timeout=20)
        except subprocess.TimeoutExpired:
            return ""
        return run.stdout.splitlines()[0].strip() if run.returncode == 0 and run.stdout.strip() else ""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ""
    device, version, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(100)
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0) or cuda.cuDeviceGetName(name, 100, device):
        return ""
    cuda.cuDriverGetVersion(ctypes.byref(version))
    return f"{name.value.decode()}, CUDA {version.value // 1000}.{version.value % 1000 // 10}"


def nccl_folder():
    """Where libnccl.so.2 lies that came with PyTorch; "" where none did."""
    find = "import importlib.util as u; print(*(s.submodule_search_locations if (s := u.find_spec('nvidia')) else []))"
    found = subprocess.run(["python3", "-c", find], capture_output=True, text=True)
    places = found.stdout.split() if found.returncode == 0 else []
    return next((str(Path(place) / "nccl/lib") for place in places if (Path(place) / "nccl/lib/libnccl.so.2").exists()), "")


def missing_tools(data, libraries):
    missing = {tool: f"{tool} was not found" for tool in ("compute-sanitizer", "ncu") if not shutil.which(tool)}
    load = "import ctypes; ctypes.CDLL('libnccl.so.2')"
    if subprocess.run(["python3", "-c", load], capture_output=True, env=libraries).returncode != 0:
        missing["nccl"] = "no libnccl.so.2"
    find = "import importlib.util as u, sys; sys.exit(not (u.find_spec('torch') and u.find_spec('numpy')))"
    if subprocess.run(["python3", "-c", find], capture_output=True).returncode != 0:
        missing["torch"] = "python3 has no torch and numpy"
    elif not data:
        missing["torch"] = "no data for PyTorch (--data PATH: RecBole files)"
    return missing


def last_passed():
    """When each step last passed, by the summaries under bench/results: {name: date}."""
    dates = {}
    for path in ROOT.glob("bench/results/*/summary.json"):
        summary = json.loads(path.read_text())
        for step in summary["steps"]:
            if step["status"] == "passed":
                dates[step["name"]] = max(dates.get(step["name"], ""), summary["date"])
    return dates


# The call ------------------------------------------------------------------------------------------------------------


def descendants(pid):
    """Processes below `pid`, those that left its group too."""
    children = {}
    for stat in glob("/proc/[0-9]*/stat"):
        try:
            child, _, rest = Path(stat).read_text().rpartition(")")
        except OSError:
            continue
        children.setdefault(int(rest.split()[1]), []).append(int(child.split()[0]))
    todo, found = [pid], []
    while todo:
        below = children.get(todo.pop(), [])
        todo += below
        found += below
    return found


def kill(process):
    for pid in [*descendants(process.pid), process.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)  # what its dead children left behind
    except ProcessLookupError:
        pass
    try:
        process.wait(timeout=5)  # the driver may hold on to it
    except subprocess.TimeoutExpired:
        pass


class Check:
    def __init__(self, folder, budget, device, environment):
        self.folder, self.budget, self.device, self.environment = folder, budget, device, environment
        self.scale = budget / USUAL_BUDGET
        self.date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        self.commit = "unknown"
        self.steps = []
        (folder / "log.txt").write_bytes(b"")
        self.log = open(folder / "log.txt", "a+b", buffering=0)  # the steps write to it themselves

    def left(self):
        return self.budget - 3 * self.scale - elapsed()  # a killed step takes a moment to go

    def run(self, step, most=float("inf")):
        """Runs the step, unless what is left is too little for it; a step that failed or timed out is not an error."""
        limit = min(step.seconds * self.scale, self.left(), most)
        if limit < step.least * min(1, self.scale):
            return
        print(f"{step.name} ...", file=sys.stderr, flush=True)
        self.log.write(f"== {step.name}: {' '.join(map(str, step.command))}\n".encode())
        start, begin = self.log.tell(), time.monotonic()
        process = subprocess.Popen(step.command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=self.log,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        step.status = "stopped"
        try:
            status = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            kill(process)
            step.took = time.monotonic() - begin
        output = self.output(start)
        passed, step.detail = step.judge(status, output) if step.judge else (status == 0, "")
        step.status = "timed out" if status is None else "passed" if passed else "failed"
        step.figures = figures_of(output) if step.judge is judge_figures else None
        self.summarise()
        print(f"{step.name}: {step.status} ({step.took:.1f} s) {step.detail}", file=sys.stderr, flush=True)

    def output(self, start):
        """What the step wrote since `start`; of a flood, log.txt keeps the start and the end."""
        self.log.seek(start)
        text = self.log.read()
        if len(text) > 2 * LOG_SHARE:
            self.log.truncate(start)
            self.log.seek(start)
            self.log.write(text[:LOG_SHARE] + b"\n[...]\n" + text[-LOG_SHARE:])
        self.log.seek(0, os.SEEK_END)
        return text.decode(errors="replace")

    def summarise(self):
        counts = {}
        for step in self.steps:
            counts.setdefault(step.status, []).append(step.name)
        head = {"device": self.device, "commit": self.commit, "date": self.date, "budget": self.budget,
                "seconds": round(elapsed(), 1), "counts": {status: len(names) for status, names in counts.items()}}
        lines = [f"{self.device}; commit {self.commit}; {self.date}; {elapsed():.1f} of {self.budget:g} s", ""]
        lines += [f"{step.status:<12} {step.took:6.1f} s  {step.name}{': ' if step.detail else ''}{step.detail}"
                  for step in self.steps if step.status not in ("did not fit", "no tool")]
        lines += ["", ", ".join(f"{len(names)} {status}" for status, names in counts.items())]
        lines += [f"{status}: {', '.join(names)}" for status, names in counts.items() if status != "passed"]
        self.write("summary.txt", "\n".join(lines) + "\n")
        self.write("summary.json", json.dumps(head | {"steps": [step.record() for step in self.steps]}, indent=1) + "\n")
        return lines

    def write(self, name, text):
        temporary = self.folder / f"{name}.tmp"
        temporary.write_text(text)
        temporary.replace(self.folder / name)

    def programs(self):
        """Unpacks the programs, or builds them; False where that failed."""
        archive = PACK.with_suffix(".tar.gz")
        if archive.exists():
            packed = datetime.fromtimestamp(archive.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
            print(f"the programs are those of build/portable.tar.gz, packed {packed}", file=sys.stderr, flush=True)
            shutil.rmtree(PACK, ignore_errors=True)
            with tarfile.open(archive) as tar:
                tar.extractall(ROOT / "build")
        else:
            build = Step("build", [ROOT / "run", "gpu-build"], self.budget / self.scale, 0)
            self.steps.append(build)
            self.run(build)
            if build.status != "passed":
                return False
            archive.unlink()  # made again from the sources next time
        self.commit = (PACK / "commit").read_text().strip()
        return True

    def all(self, data, missing):
        groups = groups_of(self.folder, data, "torch" not in missing, self.environment)
        dates = last_passed()
        for group in groups:
            group.steps.sort(key=lambda step: dates.get(step.name, ""))
        # What builds on wrong kernels says nothing, so parity leads; of the rest, what was missed longest.
        groups[1:] = sorted(groups[1:], key=lambda g: min((dates.get(s.name, "") for s in g.steps), default=""))
        self.steps += [step for group in groups for step in group.steps]
        for step in self.steps:
            if step.tool in missing:
                step.status, step.detail = "no tool", missing[step.tool]
        self.summarise()
        for group in groups:
            end = elapsed() + group.seconds * self.scale
            for step in group.steps:
                if step.status == "did not fit":
                    self.run(step, end - elapsed())
        for step in self.steps:  # what its group had no time for, if the others left some
            if step.status == "did not fit":
                self.run(step)


def positive(text):
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds")
    return value


def parse():
    parser = argparse.ArgumentParser(prog="./run gpu-check", description="All that only a GPU can tell, in one call.")
    parser.add_argument("folder", nargs="?", default=os.environ.get("OUT") or str(ROOT / "build/gpu-check"),
                        help="results (default: $OUT, or build/gpu-check)")
    parser.add_argument("--budget", type=positive, default=USUAL_BUDGET, help="seconds for the whole call (%(default)s)")
    parser.add_argument("--data", help="interactions (default: Amazon Beauty under shared/, else made up like it)")
    return parser.parse_args()


def main():
    arguments = parse()
    device = device_name()
    if not device:
        sys.exit("gpu-check: no GPU here: neither nvidia-smi nor CUDA's driver lists one")
    if not PACK.with_suffix(".tar.gz").exists() and not shutil.which("nvcc"):
        sys.exit("gpu-check: needs nvcc, or build/portable.tar.gz from ./run gpu-build elsewhere")
    amazon = [place / "shared/data/amazon/beauty" for place in (ROOT.parent, ROOT)]
    data = next((str(path) for path in amazon if path.with_suffix(".inter").exists()), None)
    if arguments.data:
        data = os.path.abspath(arguments.data)
    libraries = [str(PACK / "lib"), *filter(None, [os.environ.get("LD_LIBRARY_PATH")]), "/usr/local/cuda/lib64",
                 *filter(None, [nccl_folder()])]
    environment = os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(libraries)}
    missing = missing_tools(data, environment)
    print("\n".join([f"device: {device}", *missing.values()]), file=sys.stderr, flush=True)

    folder = Path(arguments.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    check = Check(folder, arguments.budget, device, environment)
    for end in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, lambda number, _: sys.exit(128 + number))
    try:
        if check.programs():
            check.all(data, missing)
    finally:
        print("\n".join(check.summarise()[1:]), f"\nresults in {folder}", sep="")
    sys.exit(any(step.status in ("failed", "timed out") for step in check.steps))


if __name__ == "__main__":
    main()
