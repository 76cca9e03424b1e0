#!/usr/bin/env python3
"""./run bench --peers: the split against sllmr's, scores against a naive double loop, turns with peers made up here.

usage: peers_test.py PROGRAM [unittest's arguments]

Runs itself by the Python that `./run statistics` has installed, where its own lacks NumPy; exits with 77 where there is
none.
"""

import gzip
import io
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from environments import run_by

ROOT = Path(__file__).parents[2]
MF = ROOT / "bench/peers/mf"

run_by("statistics", "numpy")

import numpy as np

sys.path[:0] = [str(MF), str(ROOT / "tools")]
import data
import peers
import programs
import run
import score
from shared import ToolError

PROGRAM = sys.argv[1]
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

FAKE = """
import time
from child import Task, main
from score import Factors
import numpy as np
GRID = {"lr": (0.1, 0.2), "reg": (0.0,)}

def train(task: Task) -> None:
    generator = np.random.default_rng(task.seed)
    users, items = (generator.normal(size=(n, task.width)) for n in (task.split.users, task.split.items))
    task.timed(lambda: time.sleep(0.002), lambda: Factors(users, items, np.zeros(task.split.items)))

main(train, ("numpy",))
"""
BROKEN = 'GRID = {"lr": (1.0,), "reg": (0.0,)}\nraise ValueError("this one is broken")\n'


def naive_scores(split, factors, k):
    """By every pair, in double precision, a held-out item at every rank among its ties."""
    aucs, gains = [], []
    for user in range(split.users):
        own = split.validation[user]
        if own < 0:
            continue
        bias = np.zeros(split.items) if factors.bias is None else factors.bias
        logits = [
            sum(a * b for a, b in zip(factors.users[user].tolist(), row.tolist())) + bias[i]
            for i, row in enumerate(factors.items)
        ]
        seen = {item for u, item in zip(split.user, split.item) if u == user}
        others = [item for item in range(split.items) if item not in seen and item != own]
        if not others:
            continue
        above = sum(logits[item] > logits[own] for item in others)
        ties = sum(logits[item] == logits[own] for item in others)
        aucs.append(1 - (above + ties / 2) / len(others))
        ranks = range(above + 1, above + ties + 2)
        gains.append(sum(1 / math.log2(rank + 1) for rank in ranks if rank <= k) / len(ranks))
    return sum(aucs) / len(aucs), sum(gains) / len(gains), len(aucs)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sllmr_peers.", dir=MEMORY))
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, users=60, items=40, seed=1):
        """With ties in time, rows twice, items again at another time, and users of fewer than three."""
        generator = random.Random(seed)
        rows = []
        for user in range(users):
            for _ in range(generator.randrange(1, 9)):
                item = int(items * generator.random() ** 2)
                rows.append(f"u{user}\t{generator.randrange(6)}.5\ti{item}\n")
                if generator.random() < 0.15:
                    rows.append(rows[-1])
        generator.shuffle(rows)
        path = self.folder / "small.inter"
        path.write_text("user_id:token\ttimestamp:float\titem_id:token\n" + "".join(rows))
        return path

    def small_split(self, n_users=25, n_items=30):
        generator = np.random.default_rng(4)
        count = 300
        user, item, time = (generator.integers(n, size=count) for n in (n_users, n_items, 50))
        return data.split_of(user, item, time, np.arange(n_users).astype(str), np.arange(n_items).astype(str))

    def run_main(self, *words):
        out, error = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(error):
            status = run.main([*map(str, words)])
        return status, out.getvalue(), error.getvalue()


class Split(Case):
    def test_counts_and_items_are_sllmrs(self):
        path = self.write()
        split = data.read(data.file_of(str(path.with_suffix(""))))
        done = subprocess.run(
            [PROGRAM, "data", "stats", path, "--json"], capture_output=True, text=True, check=True
        )
        stats = json.loads(done.stdout)
        self.assertEqual((split.users, split.items), (stats["users"], stats["items"]))
        self.assertEqual(len(split.user), stats["train_interactions"])
        self.assertEqual((split.test < 0).sum(), stats["users_below_three"])
        self.assertEqual((split.validation < 0).sum(), stats["users_below_three"])
        held = 2 * (split.test >= 0).sum()
        self.assertEqual(len(split.user) + held, stats["interactions"])

        # The very items: sllmr names the test's.
        words = [f"data.path={path}", "method=none", "device=cpu", "train.epochs=1"]
        run_dir = self.folder / "run"
        subprocess.run([PROGRAM, "train", *words, f"run_dir={run_dir}"], check=True, capture_output=True)
        out = self.folder / "rows.tsv"
        subprocess.run([PROGRAM, "eval", run_dir, "--predictions", out], check=True, capture_output=True)
        told = dict(line.split("\t")[:2] for line in out.read_text().splitlines()[1:])
        tokens = split.item_tokens
        test = {split.user_tokens[u]: tokens[i] for u, i in enumerate(split.test) if i >= 0}
        self.assertEqual(told, test)

    def test_rows_in_any_order_of_time(self):
        path = self.folder / "a.inter"
        path.write_text(
            "item_id:token\tuser_id:token\tposition:float\na\tx\t3\nb\tx\t1\nc\tx\t1\nd\tx\t2\nb\tx\t1\na\ty\t0\n"
        )
        with gzip.open(self.folder / "b.inter.gz", "wt") as file:
            file.write(path.read_text())
        for name in ("a", "a.inter", "b", "b.inter.gz"):
            split = data.read(data.file_of(f"{self.folder}/{name}"))
            named = split.item_tokens[split.item].tolist()
            self.assertEqual((split.user.tolist(), named), ([0, 0, 1], ["b", "c", "a"]))
            self.assertEqual([split.item_tokens[i] for i in (split.validation[0], split.test[0])], ["d", "a"])
            self.assertEqual((split.validation[1], split.test[1]), (-1, -1))
        split.save(self.folder / "split.npz")
        again = data.Split.load(self.folder / "split.npz")
        for name, values in vars(split).items():
            np.testing.assert_array_equal(vars(again)[name], values)

    def test_made_up(self):
        path = self.folder / "made.inter"
        data.write_synthetic(path, 20000)
        split = data.read(path)
        self.assertGreater(len(split.user), 12000)
        self.assertTrue((split.validation >= 0).all())
        pairs = split.user.astype(int) * split.items + split.item
        self.assertEqual(len(np.unique(pairs)), len(pairs))
        first = path.read_bytes()
        data.write_synthetic(path, 20000)
        self.assertEqual(path.read_bytes(), first)

    def test_faults(self):
        path = self.folder / "bad.inter"
        head = "user_id:token\titem_id:token\ttimestamp:float\n"
        for text, named in [
            ("", "bad.inter:1: there is no column user_id"),
            ("user_id:token\titem_id:token\n", "bad.inter:1: there is no column timestamp"),
            (head[:-1] + "\tlabel:float\n", "the column label"),
            (head, "no interactions"),
            (head + "a\tb\n", "bad.inter:2: not 3 cells"),
            (head + "a\tb\t1\n\tb\t2\n", "bad.inter:3: not 3 cells"),
            (head + "a\tb\tnoon\n", "bad.inter:2: 'noon' is no time"),
            (head + "a\tb\tnan\n", "bad.inter:2: 'nan' is no time"),
        ]:
            path.write_text(text)
            with self.subTest(text=text), self.assertRaisesRegex(ToolError, named):
                data.read(path)
        with self.assertRaisesRegex(ToolError, "nowhere.inter"):
            data.file_of(str(self.folder / "nowhere"))


class Scores(Case):
    def test_naive(self):
        split = self.small_split()
        generator = np.random.default_rng(5)
        for bias in (None, generator.integers(-1, 2, split.items)):
            # Whole numbers: many ties, and both precisions agree.
            users, items = (generator.integers(-1, 2, (n, 3)) for n in (split.users, split.items))
            factors = score.Factors(users, items, bias)
            with mock.patch.object(score, "_TILE_SCORES", 7 * split.items):
                found = score.score(split, factors, k=5)
            auc, ndcg, n = naive_scores(split, factors, 5)
            self.assertEqual(found.n, n)
            self.assertAlmostEqual(found.auc, auc, delta=1e-12)
            self.assertAlmostEqual(found.ndcg, ndcg, delta=1e-12)

    def test_an_item_of_the_history_again(self):
        """It is not masked out where it is the held-out one, and counts once."""
        names = [np.arange(n).astype(str) for n in (1, 4)]
        user, item, time = np.zeros(5, int), np.array([0, 1, 1, 0, 2]), np.arange(5)
        split = data.split_of(user, item, time, *names)
        self.assertEqual((split.item.tolist(), split.validation[0]), ([0, 1, 1], 0))
        factors = score.Factors(np.ones((1, 1)), np.array([[2.0], [9], [1], [3]]))
        found = score.score(split, factors)
        self.assertEqual((found.auc, found.n), (0.5, 1))
        self.assertAlmostEqual(found.ndcg, 1 / math.log2(3), delta=1e-12)

    def test_what_cannot_be_scored(self):
        split = self.small_split()
        good = score.Factors(np.ones((split.users, 2)), np.ones((split.items, 2)))
        self.assertAlmostEqual(score.score(split, good).auc, 0.5, delta=1e-12)
        for users, items, bias in [
            (good.users * np.nan, good.items, None),
            (good.users, good.items * np.inf, None),
            (good.users, good.items, np.full(split.items, np.nan)),
            (good.users[1:], good.items, None),
            (good.users, good.items[1:], None),
            (good.users[:, 1:], good.items, None),
            (good.users, good.items, np.zeros(3)),
        ]:
            with self.assertRaises(ValueError):
                score.score(split, score.Factors(users, items, bias))

    def test_sllmrs_own(self):
        """Ours.train() compares the program's validation with score.py's; here it is told apart."""
        path = self.write()
        split = data.read(path)
        ours = programs.Ours(PROGRAM, path, split)
        out = self.folder / "out"
        out.mkdir()
        plan = programs.Plan(epochs=4, every=1, patience=4)
        result = ours.train(out, programs.Setting(0.2, 0.1), plan, 1, 1)
        told = max(each["auc"] for each in result.evaluations)
        self.assertAlmostEqual(score.score(split, result.factors).auc, told, delta=1e-6)
        self.assertGreater(result.peak_bytes, 1e6)
        shutil.rmtree(out / "run")
        exact = programs.Ours(PROGRAM, path, split, 8)
        result = exact.train(out, programs.Setting(1e-3, 1e-5), plan, 1, 1)
        self.assertIn("exact", (out / "run/config.toml").read_text())
        self.assertAlmostEqual(
            score.score(split, result.factors).auc, max(each["auc"] for each in result.evaluations), delta=1e-6
        )
        shutil.rmtree(out / "run")
        split.validation[split.validation >= 0] = split.test[split.validation >= 0]
        with self.assertRaisesRegex(ToolError, "sllmr tells a validation AUC"):
            ours.train(out, programs.Setting(0.2, 0.1), plan, 1, 1)
        shutil.rmtree(out / "run")
        split.user = split.user[1:]
        with self.assertRaisesRegex(ToolError, "training interactions, sllmr"):
            ours.train(out, programs.Setting(0.2, 0.1), plan, 1, 1)


class Turns(Case):
    def setUp(self):
        super().setUp()
        self.data = self.write()
        for name, text in (("fake", FAKE), ("broken", BROKEN)):
            (self.folder / f"{name}.py").write_text(text)
        registry = tuple(
            peers.Peer(name, str(self.folder / f"{name.split('_')[0]}.py"), "peers-fake-1", (), (), option)
            for name, option in (("fake", ""), ("fake_asked", "compiled"), ("broken", ""))
        )
        for module in (peers, run):
            patched = mock.patch.object(module, "PEERS", registry)
            patched.start()
            self.addCleanup(patched.stop)
        os.environ["PYTHONPATH"] = str(MF)
        self.addCleanup(os.environ.pop, "PYTHONPATH")
        self.words = ["--program", PROGRAM, "--python", f"peers-fake-1={sys.executable}", "--data", self.data]

    def test_rounds(self):
        file = self.folder / "told.json"
        words = [*self.words, "--rounds", 2, "--epochs", 3, "--threads", 1, 2, "--json", file]
        with mock.patch.object(run, "_QUALITY", programs.Plan(epochs=3, every=2, patience=2)):
            status, out, error = self.run_main(*words, "--peers", "fake")
        self.assertEqual(status, 0, error)
        told = json.loads(file.read_text())
        self.assertEqual(
            [(each["name"], each["threads"]) for each in told["timing"]],
            [("sllmr", 1), ("fake", 1), ("sllmr", 2), ("fake", 2)],
        )
        for ours, fake in (told["timing"][:2], told["timing"][2:]):
            self.assertEqual((len(ours["seconds"]), len(fake["seconds"])), (3, 2))
            for k, ratio in enumerate(fake["ratios"]):
                neighbours = (ours["seconds"][k] + ours["seconds"][k + 1]) / 2
                self.assertAlmostEqual(ratio, fake["seconds"][k] / neighbours, delta=1e-9)
            self.assertTrue(all(0.002 <= seconds < 0.1 for seconds in fake["seconds"]))
            self.assertEqual([len(epochs) for epochs in fake["epochs"]], [4, 4])
            self.assertGreater(fake["imported_bytes"], 1e6)
        ours, fake = told["quality"]
        self.assertEqual((len(ours["tries"]), len(fake["tries"])), (6, 2))
        self.assertEqual([point["epoch"] for point in fake["curve"]], [2, 3])
        for each in (ours, fake):
            self.assertAlmostEqual(each["auc"], max(point["auc"] for point in each["tries"]), places=12)
            reached = [point["seconds"] for point in ours["curve"] if point["auc"] >= each["auc"]]
            self.assertEqual(each["our_seconds"], reached[0] if reached else None)
        self.assertIn("| fake | ", out)
        self.assertEqual(self.run_main(*words, "--no-quality", "--peers", "fake")[0], 0)  # anew

    def test_a_peer_that_fails(self):
        words = [*self.words, "--rounds", 2, "--epochs", 2, "--no-quality"]
        status, out, error = self.run_main(*words)
        self.assertEqual(status, 1)
        self.assertIn("without broken: broken: status 1: ValueError: this one is broken", error)
        self.assertIn("error: broken could not be compared", error.splitlines()[-1])
        self.assertNotIn("Traceback", error)
        self.assertEqual(("| fake |" in out, "| broken |" in out, "asked" in out), (True, False, False))
        words[3] = "peers-other-1=python"
        status, out, error = self.run_main(*words)
        self.assertEqual((status, "| sllmr |" in out), (1, True))
        self.assertIn("without fake: its packages are not installed", error)

    def test_nothing_goes_on_unseen(self):
        """Where a shell has started the driver with Ctrl-C ignored, and the driver is killed."""
        (self.folder / "fake.py").write_text(FAKE.replace("0.002", "60"))
        split = self.folder / "split.npz"
        self.small_split().save(split)
        code = (
            "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:0] = sys.argv[1:2]\n"
            "from programs import *; from peers import Peer; out = Path(sys.argv[4])\n"
            "peer = PeerProcess(Peer('fake', sys.argv[2], '', ()), sys.executable, sys.argv[3], 8)\n"
            "peer.train(out, Setting(1, 0), Plan(2), 1, 1)\n"
        )
        words = [sys.executable, "-B", "-c", code, MF, self.folder / "fake.py", split, self.folder]
        driver = subprocess.Popen([*map(str, words)])
        children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children")
        try:
            self.wait(lambda: "fake.py" in self.command_of(children.read_text().strip()))
            child = children.read_text().strip()
            self.wait(lambda: not int(self.status_of(child, "SigIgn"), 16) & 1 << signal.SIGINT - 1)
        finally:
            driver.kill()
            driver.wait()
        self.wait(lambda: not Path(f"/proc/{child}").exists())

    def wait(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    @staticmethod
    def command_of(process):
        return Path(f"/proc/{process}/cmdline").read_text() if process else ""

    @staticmethod
    def status_of(process, key):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith(f"{key}:"))

    def test_environments(self):
        status, out, _ = self.run_main("--environments", "--peers", "fake", "--data", self.data)
        self.assertEqual((status, out), (0, "peers-fake-1\n"))

    def test_faults(self):
        (self.folder / "mine.json").write_text("{}")
        for words, named in [
            (["--peers", "nobody"], "no 'nobody'"),
            (["--rounds", "0"], "'0'"),
            (["--threads", "x"], "'x'"),
            (["--unknown"], "--unknown"),
            (["--round", "2"], "--round"),
            (["--data", self.folder / "nowhere"], "nowhere"),
            (["--json", self.folder / "mine.json"], "something else made this file"),
            (["--program", self.folder / "none"], "cannot be run"),
        ]:
            with self.subTest(words=words):
                status, out, error = self.run_main(*self.words, "--no-quality", *words)
                self.assertEqual((status, "Traceback" in error), (1, False))
                self.assertIn(named, error.splitlines()[-1])


class Registry(unittest.TestCase):
    def test_every_peer(self):
        names = [peer.name for peer in peers.PEERS]
        self.assertEqual(len(set(names)), len(names))
        packages = {}
        for peer in peers.PEERS:
            with self.subTest(peer=peer.name):
                grid = programs._grid_of(MF / peer.file)
                self.assertEqual(len(grid["lr"]) * len(grid["reg"]), 6)
                self.assertRegex(peer.environment, r"^peers-[a-z]+-\d+$")
                self.assertEqual(packages.setdefault(peer.environment, peer.packages), peer.packages)
        for exact in (None, 8):
            self.assertEqual(len(programs.settings_of(programs.Ours(PROGRAM, Path(), None, exact))), 6)

    def test_who_is_chosen(self):
        def names(*words):
            return [peer.name for peer in run._parsed([*words]).chosen]

        usual = ["implicit", "cornac", "lightfm", "torch", "recbole"]
        self.assertEqual(names(), usual)
        self.assertEqual(names("--compiled"), [*usual[:4], "torch_compiled", "recbole"])
        self.assertEqual(names("--exact"), ["torch", "torch_sparse", "recbole"])
        self.assertEqual(names("--peers", "cornac", "torch_sparse"), ["cornac", "torch_sparse"])
        self.assertEqual(names("--peers", "cornac", "--exact", "--compiled"), ["cornac"])
        self.assertEqual(run._parsed([]).batch, 2048)
        self.assertEqual(run._parsed(["--peers", "torch", "--batch", "8"]).batch, 8)
        with self.assertRaisesRegex(ToolError, "none of these programs has batches"):
            run._parsed(["--peers", "cornac", "--batch", "8"])

    def test_what_is_installed(self):
        words = [sys.executable, "-B", MF / "peers.py", "peers-lightfm-1"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        self.assertEqual(tuple(done.stdout.splitlines()), peers.PEERS[2].packages)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
