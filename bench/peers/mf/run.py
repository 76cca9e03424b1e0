#!/usr/bin/env python3
"""Times matrix factorisation with BPR by sllmr and by its peers in turns, and tunes each: README.md beside this folder.

usage: run.py --program SLLMR [--python ENVIRONMENT=PATH ...] [--peers [NAME ...]] [--threads N ...] [--rounds N]
"""

import argparse
import json
import math
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # what follows takes a moment to import, and has nothing to leave
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import numpy as np

sys.path.append(str(Path(__file__).parents[3] / "tools"))
from data import Split, file_of, read, write_synthetic
from peers import PEERS, Peer
from programs import ROOT, WIDTH, Ours, PeerProcess, Plan, Result, Setting, settings_of
from score import score
from shared import Parser, Progress, ToolError, require_replaceable, run_tool, write_text

_MADE_BY = "./run bench --peers"
_BEAUTY = ROOT / "../shared/data/amazon/beauty"
_ENOUGH_SECONDS = 1.0  # of training that is timed in a run, two epochs at least
_QUALITY = Plan(epochs=200, every=2, patience=20)
_BATCH = 2048
_LOUD = 0.1  # cores that others keep busy before the start, above which it is told
_WIDE = 0.15  # spread over median that is marked


@dataclass
class Timing:
    """A program's rounds with one number of threads."""

    name: str
    threads: int
    seconds: list[float]  # an epoch, by round
    ratios: list[float]  # of that over the mean of ours before and after
    peak_bytes: int  # the most of the rounds
    imported_bytes: int
    epochs: list[list[float]]  # every epoch of every round, the first of which warms up


@dataclass
class Quality:
    """A program's best setting of its grid, by validation AUC."""

    name: str
    setting: Setting
    tries: list[dict[str, Any]]  # lr, reg, auc
    auc: float
    ndcg: float
    epoch: int  # of the best evaluation
    seconds: float  # of training until then
    curve: list[dict[str, Any]]  # its evaluations
    our_seconds: float | None = None  # until ours had this AUC; none where it never had


def busy_cores(seconds: float = 0.3) -> float:
    """Cores that others keep busy while this process sleeps; 0 where the system does not tell."""

    def busy() -> float:
        cells = Path("/proc/stat").read_text().split("\n", 1)[0].split()
        return sum(int(cells[k]) for k in (1, 2, 3, 6, 7, 8)) / os.sysconf("SC_CLK_TCK")  # not idle, not waiting

    try:
        before = busy()
        time.sleep(seconds)
        return max(0.0, busy() - before) / seconds
    except (OSError, ValueError, IndexError):
        return 0.0


def cpu_model() -> str:
    """As `sllmr` tells it of the machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


class Comparison:
    """One command's work. A peer that fails is told at once and left out."""

    def __init__(self, arguments: argparse.Namespace, folder: Path):
        self._arguments, self._folder = arguments, folder
        self._progress = Progress()
        self._runs = 0
        self.failed: list[str] = []
        self.versions: dict[str, dict[str, str]] = {}
        data = file_of(arguments.data) if arguments.synthetic is None else folder / "synthetic.inter"
        if arguments.synthetic is not None:
            self._progress.show(f"making {arguments.synthetic} interactions")
            write_synthetic(data, arguments.synthetic)
        self._progress.show(f"reading {data}")
        self.data, self.split = data, read(data)
        self.split.save(folder / "split.npz")
        exact = arguments.batch if arguments.exact else None
        self._ours = Ours(arguments.program, data.resolve(), self.split, exact)
        self._peers: list[PeerProcess] = []
        pythons = dict(arguments.python)
        for peer in arguments.chosen:
            if python := pythons.get(peer.environment):
                self._peers.append(PeerProcess(peer, python, folder / "split.npz", arguments.batch))
            else:
                self._leave_out(peer.name, f"its packages are not installed ({peer.environment})")

    def _leave_out(self, name: str, reason: str) -> None:
        self._progress.clear()
        print(f"{_MADE_BY}: without {name}: {reason}", file=sys.stderr)
        self.failed.append(name)
        self._peers = [peer for peer in self._peers if peer.name != name]

    def _train(
        self, program: Ours | PeerProcess, setting: Setting, plan: Plan, threads: int, seed: int
    ) -> Result:
        self._runs += 1
        folder = self._folder / f"run{self._runs}"
        folder.mkdir()
        result = program.train(folder, setting, plan, threads, seed)
        shutil.rmtree(folder)
        self.versions[program.name] = result.versions
        return result

    def time(self, threads: int) -> list[Timing]:
        """Ours, a peer, ours, the next peer, ...: each is divided by the mean of its neighbours."""
        rounds, most = self._arguments.rounds, self._arguments.epochs + 1
        setting = settings_of(self._ours)[0]
        # How many epochs are enough of ours.
        probe = self._train(self._ours, setting, Plan(epochs=3), threads, 1).epoch_seconds()
        enough = min(most, 1 + max(2, math.ceil(_ENOUGH_SECONDS / probe)))
        timings: dict[str, Timing] = {}

        def run(program: Ours | PeerProcess, number: int, plan: Plan) -> float:
            self._progress.show(f"{threads} threads, round {number} of {rounds}: {program.name}")
            result = self._train(program, settings_of(program)[0], plan, threads, number)
            timing = timings.setdefault(program.name, Timing(program.name, threads, [], [], 0, 0, []))
            timing.seconds.append(result.epoch_seconds())
            timing.epochs.append(result.seconds)
            timing.peak_bytes = max(timing.peak_bytes, result.peak_bytes)
            timing.imported_bytes = max(timing.imported_bytes, result.imported_bytes)
            return timing.seconds[-1]

        before = run(self._ours, 1, Plan(enough))
        for number in range(1, rounds + 1):
            for peer in list(self._peers):
                try:
                    seconds = run(peer, number, Plan(most, _ENOUGH_SECONDS))
                except ToolError as error:
                    self._leave_out(peer.name, str(error))
                    timings.pop(peer.name, None)
                    continue
                after = run(self._ours, number, Plan(enough))
                timings[peer.name].ratios.append(seconds / (0.5 * (before + after)))
                before = after
        self._progress.clear()
        return list(timings.values())

    def tune(self, threads: int) -> list[Quality]:
        """Each at the best of its grid; ours first, whose way there is held against each."""
        found: list[Quality] = []
        for program in [self._ours, *self._peers]:
            try:
                found.append(self._tune(program, threads))
            except ToolError as error:
                if program is self._ours:
                    raise
                self._leave_out(program.name, str(error))
        for each in found:
            ours = (point["seconds"] for point in found[0].curve if point["auc"] >= each.auc)
            each.our_seconds = next(ours, None)
        self._progress.clear()
        return found

    def _tune(self, program: Ours | PeerProcess, threads: int) -> Quality:
        settings = settings_of(program)
        tries, best = [], None
        for number, setting in enumerate(settings, 1):
            self._progress.show(f"quality, {program.name}: setting {number} of {len(settings)}")
            result = self._train(program, setting, _QUALITY, threads, 1)
            point = max(result.evaluations, key=lambda each: each["auc"])
            tries.append(asdict(setting) | {key: point[key] for key in ("auc", "epoch", "seconds")})
            if best is None or point["auc"] > best.auc:
                scores = score(self.split, result.factors)
                at = (point["epoch"], point["seconds"], result.evaluations)
                best = Quality(program.name, setting, tries, scores.auc, scores.ndcg, *at)
        return best


def _megabytes(value: int) -> str:
    return f"{value / 1e6:.0f} MB"


def _spread(values: list[float]) -> str:
    """Median, least and most, marked where they lie far apart."""
    middle = float(np.median(values))
    mark = " *" if max(values) - min(values) > _WIDE * middle else ""
    return f"{middle:.3g} ({min(values):.3g} to {max(values):.3g}){mark}"


def _table(header: list[str], rows: list[list[str]]) -> str:
    return "".join("| " + " | ".join(cells) + " |\n" for cells in [header, ["---"] * len(header), *rows])


def timing_text(timings: list[Timing], versions: dict[str, dict[str, str]]) -> str:
    header = [
        "program",
        "version",
        "threads",
        "seconds an epoch",
        "over sllmr",
        "peak memory",
        "of it imports",
    ]
    rows = [
        [
            each.name,
            next(iter(versions[each.name].values())),
            str(each.threads),
            _spread(each.seconds),
            _spread(each.ratios) if each.ratios else "1",
            _megabytes(each.peak_bytes),
            _megabytes(each.imported_bytes) if each.imported_bytes else "-",
        ]
        for each in timings
    ]
    return _table(header, rows)


def quality_text(found: list[Quality]) -> str:
    header = [
        "program",
        "lr",
        "reg",
        "AUC",
        "NDCG@10",
        "epochs",
        "seconds of training",
        "sllmr's until that AUC",
    ]
    rows = [
        [
            each.name,
            f"{each.setting.lr:g}",
            f"{each.setting.reg:g}",
            f"{each.auc:.4f}",
            f"{each.ndcg:.4f}",
            str(each.epoch),
            f"{each.seconds:.3g}",
            "never" if each.our_seconds is None else f"{each.our_seconds:.3g}",
        ]
        for each in found
    ]
    return _table(header, rows)


def _is_own(text: str) -> bool:
    return not text.strip() or text.startswith(f'{{\n "made_by": "{_MADE_BY}"')


def _work(arguments: argparse.Namespace) -> None:
    if arguments.json:
        require_replaceable("--json", Path(arguments.json), _is_own)
    before, cores = busy_cores(), os.cpu_count()
    if before > _LOUD:
        print(
            f"{_MADE_BY}: warning: others keep {before:.1f} cores busy: times may not count",
            file=sys.stderr,
        )
    with tempfile.TemporaryDirectory(prefix="sllmr-peers-") as folder:
        comparison = Comparison(arguments, Path(folder))
        split = comparison.split
        name = comparison.data.name if arguments.synthetic is None else "made-up data"
        print(
            f"{name}: {split.users} users, {split.items} items, {len(split.user)} training interactions; "
            f"width {WIDTH}, batches of {arguments.batch} where there are batches; {cores} cores, of which "
            f"others kept {before:.1f} busy before the start\n"
        )
        timings = [timing for threads in arguments.threads for timing in comparison.time(threads)]
        print(timing_text(timings, comparison.versions), flush=True)
        qualities = comparison.tune(arguments.threads[0]) if arguments.quality else []
        if qualities:
            print(quality_text(qualities))
    print(f"- Medians of {arguments.rounds} rounds, least and most beside them; *: they lie over 15 % apart.")
    if qualities:
        tries, threads = len(qualities[0].tries), arguments.threads[0]
        print(f"- AUC, NDCG@10: validation, by score.py, best of {tries} settings each; threads {threads}.")
    elif arguments.synthetic is not None:
        print("- Made-up data have nothing to learn but popularity: no AUC.")
    after = busy_cores()
    print(f"- Cores that others kept busy at the end: {after:.1f}.")
    if arguments.json:
        told = {
            "made_by": _MADE_BY,
            "data": {
                "path": os.path.relpath(comparison.data, ROOT) if arguments.synthetic is None else None,
                "users": split.users,
                "items": split.items,
                "train_interactions": len(split.user),
            },
            "width": WIDTH,
            "batch": arguments.batch,
            "exact": arguments.exact,
            "machine": {"cpu": cpu_model(), "cores": cores},
            "foreign_cores": [before, after],
            "versions": comparison.versions,
            "timing": [asdict(each) for each in timings],
            "quality": [asdict(each) for each in qualities],
            "failed": comparison.failed,
        }
        write_text(Path(arguments.json), json.dumps(told, indent=1) + "\n")
    if comparison.failed:
        raise ToolError(f"{', '.join(dict.fromkeys(comparison.failed))} could not be compared: see above")


def _at_least(least: int) -> Any:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ToolError(f"'{text}' is no whole number of at least {least}")
        return int(text)

    return number


def _python(text: str) -> tuple[str, str]:
    environment, _, path = text.partition("=")
    return environment, path


def _chosen(names: list[str], options: list[str]) -> list[Peer]:
    """Of an exact step only those that have batches are peers."""
    known = {peer.name: peer for peer in PEERS}
    if unknown := [name for name in names if name not in known]:
        raise ToolError(f"--peers: there is no '{unknown[0]}': choose among {', '.join(known)}")
    return [
        peer
        for peer in PEERS
        if peer.name in names
        or (not names and peer.option in options)
        or not (names or peer.option or ("exact" in options and not peer.has_batches))
    ]


def _parsed(words: list[str]) -> argparse.Namespace:
    parser = Parser(prog=_MADE_BY, allow_abbrev=False)
    parser.add_argument("--peers", nargs="*", default=[], metavar="NAME", help="these only")
    parser.add_argument("--compiled", action="store_true", help="PyTorch under torch.compile too")
    parser.add_argument(
        "--exact", action="store_true", help="sllmr's exact step (lazy Adam) beside peers that have batches"
    )
    parser.add_argument("--batch", type=_at_least(1), help="rows of a batch (2048)")
    parser.add_argument("--data", default=str(_BEAUTY), help="RecBole's file of interactions, or its prefix")
    parser.add_argument("--synthetic", type=_at_least(1000), metavar="N", help="so many made-up interactions")
    parser.add_argument("--threads", type=_at_least(1), nargs="+", default=[1], metavar="N")
    parser.add_argument("--rounds", type=_at_least(1), default=5)
    parser.add_argument("--epochs", type=_at_least(2), default=20, help="the most that a run times (20)")
    parser.add_argument("--no-quality", dest="quality", action="store_false", help="time alone")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--program", default="sllmr", help=argparse.SUPPRESS)
    parser.add_argument("--python", type=_python, action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--environments", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    arguments.chosen = _chosen(arguments.peers, [name for name in ("compiled", "exact") if getattr(arguments, name)])
    if arguments.batch and not (arguments.exact or any(peer.has_batches for peer in arguments.chosen)):
        raise ToolError("--batch: none of these programs has batches")
    arguments.batch = arguments.batch or _BATCH
    arguments.quality = arguments.quality and arguments.synthetic is None
    return arguments


def main(words: list[str]) -> int:
    def work() -> None:
        arguments = _parsed(words)
        if arguments.synthetic is None:
            file_of(arguments.data)
        if arguments.environments:  # for `./run`, which installs them
            print("\n".join(dict.fromkeys(peer.environment for peer in arguments.chosen)))
        else:
            _work(arguments)

    return run_tool(_MADE_BY, work, lambda: "stopped; nothing is left")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
