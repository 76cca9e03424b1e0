#!/usr/bin/env python3
"""./run tensorboard: event files against what the runs have told, one error a fault.

usage: tensorboard_test.py PROGRAM [unittest's arguments]

Runs itself by the Python that `./run tensorboard` has installed; exits with 77 where there is none.
"""

import contextlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from environments import run_by

ROOT = Path(__file__).parents[2]
CONVERT = ROOT / "tools/tensorboard/convert.py"

run_by("tensorboard", "tensorboardX")

from tensorboardX.proto import event_pb2

PROGRAM = sys.argv[1]
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def crc32c(data):
    """Castagnoli's, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def scalars(folder):
    """{(tag, step): value} of the one event file, whose records are whole."""
    (path,) = folder.glob("events.out.tfevents.*")
    data, at, found = path.read_bytes(), 0, {}
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        record = data[at + 12 : at + 12 + length]
        assert struct.unpack_from("<I", data, at + 8)[0] == masked(data[at : at + 8])
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked(record)
        event = event_pb2.Event.FromString(record)
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                found[value.tag, event.step] = value.simple_value
        at += 16 + length
    return found


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sllmr_tensorboard.", dir=MEMORY))
        self.addCleanup(shutil.rmtree, self.folder)

    def convert(self, *words):
        words = [sys.executable, "-B", str(CONVERT), *map(str, words)]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    def write_run(self, name="run"):
        run = self.folder / name
        run.mkdir(parents=True)
        lines = [
            {"event": "epoch", "epoch": 1, "loss": 0.5, "rows": 100, "seconds": 2.0},
            {"event": "validation", "epoch": 1, "auc": {"all": 0.75, "tail": None}, "protocol": "ctr"},
            {"event": "epoch", "epoch": 2, "loss": 0.25, "rows": 100, "seconds": 4.0},
        ]
        (run / "metrics.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines) + '{"epoch": 3, "lo'
        )
        gate = {"epoch": 2, "buckets": {"cold_tail": {"mean_alpha": 0.5}}, "collapsed": "open"}
        (run / "guidance.jsonl").write_text(json.dumps(gate) + "\n")
        told = {
            "date": "2026-11-29T23:01:00Z",
            "seconds": {"total": 8.0},
            "test": {"auc": {"all": 0.875}},
            "config": "seed = 1\n",
        }
        (run / "summary.json").write_text(json.dumps(told))
        return run

    def test_a_run(self):
        run = self.write_run()
        done = self.convert(run)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f"tensorboard --logdir {run}/tensorboard", done.stdout)
        expected = {
            ("train/loss", 1): 0.5,
            ("train/rows", 1): 100,
            ("train/seconds", 1): 2,
            ("train/rows_per_s", 1): 50,
            ("validation/auc/all", 1): 0.75,
            ("train/loss", 2): 0.25,
            ("train/rows", 2): 100,
            ("train/seconds", 2): 4,
            ("train/rows_per_s", 2): 25,
            ("guidance/buckets/cold_tail/mean_alpha", 2): 0.5,
            ("guidance/collapsed", 2): 1,
            ("test/auc/all", 2): 0.875,
            ("seconds/total", 2): 8,
        }
        self.assertEqual(scalars(run / "tensorboard/run"), expected)
        self.assertEqual(self.convert(run).returncode, 0)  # anew
        self.assertEqual(scalars(run / "tensorboard/run"), expected)

    @staticmethod
    def results(runs):
        rows, columns = (list(dict.fromkeys(run[key] for run in runs)) for key in ("row", "column"))
        told = {"schema": 1, "complete": True, "rows": rows, "columns": columns, "cells": [], "runs": runs}
        return json.dumps(told)

    def test_a_table_and_a_run(self):
        table, other = self.folder / "table", self.write_run("other")
        for seed in (1, 2):
            self.write_run(f"table/none_{seed}")
        runs = [
            {"row": "no ne", "column": "x", "seed": seed, "folder": f"runs/none_{seed}"} for seed in (1, 2, 3)
        ]
        (table / "results.json").write_text(self.results(runs))
        out = self.folder / "events"
        done = self.convert(table, other, "--out", out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        names = sorted(str(path.parent.relative_to(out)) for path in out.rglob("events.*"))
        self.assertEqual(names, ["other", "table/no_ne_x_1", "table/no_ne_x_2"])

    def test_names_that_are_alike_have_folders_of_their_own(self):
        table = self.folder / "table"
        names = ["a b", "a_b", "a/b", "a\nb", ".", "x" * 300, "x" * 300 + "y", "\ud800"]
        for k in range(len(names)):
            self.write_run(f"table/run_{k}")
        runs = [
            {"row": name, "column": "c", "seed": 1, "folder": f"r/run_{k}"} for k, name in enumerate(names)
        ]
        (table / "results.json").write_text(self.results(runs))
        done = self.convert(table)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        found = [path.parent for path in (table / "tensorboard").rglob("events.*")]
        self.assertEqual((len(found), len({*found})), (8, 8))
        for folder in found:
            self.assertEqual(scalars(folder)["train/loss", 1], 0.5)

    def test_values_that_are_none(self):
        """One error that names the file, or what can be shown; never a traceback."""
        run = self.write_run()
        whole = json.loads((run / "summary.json").read_text())
        odd = [
            '"x"',
            "true",
            "{}",
            "[]",
            "[1]",
            "1e300",
            "1e999",
            "1" + "0" * 400,
            "-1",
            "0",
            "null",
            '{"a": {"b": [[1]]}}',
        ]
        odd.append("[" * 9000 + "]" * 9000)
        written = [
            (run / "summary.json", json.dumps(whole | {key: "AT"}))
            for key in [*whole, "memory", "guidance_cost"]
        ]
        for name, keys in [
            ("metrics.jsonl", ("event", "epoch", "loss", "rows", "seconds", "auc")),
            ("guidance.jsonl", ("epoch", "buckets", "collapsed")),
        ]:
            first = json.loads((run / name).read_text().splitlines()[0])
            written += [(run / name, json.dumps(first | {key: "AT"}) + "\n") for key in keys]
        sys.path[:0] = [str(CONVERT.parent), str(CONVERT.parents[1])]
        import convert

        for path, text in written:
            before = path.read_text()
            for value in odd:
                path.write_text(text.replace('"AT"', value))
                error = io.StringIO()
                with (
                    self.subTest(text=text[:300], value=value[:40]),
                    contextlib.redirect_stdout(io.StringIO()),
                    contextlib.redirect_stderr(error),
                ):
                    status = convert.main([str(run)])
                    self.assertEqual(error.getvalue().count("\n"), status, error.getvalue())
                    self.assertEqual(path.name in error.getvalue(), status == 1)
            path.write_text(before)

    def test_of_the_program(self):
        data, run = self.folder / "small", self.folder / "trained"
        with open(f"{data}.inter", "w") as file:
            file.write("user_id:token\titem_id:token\ttimestamp:float\n")
            for user in range(30):
                file.writelines(f"u{user}\ti{(user + 3 * k) % 20}\t{k}\n" for k in range(6))
        words = [
            f"data.path={data}",
            "method=none",
            "train.epochs=2",
            "train.eval_every=1",
            "device=cpu",
            f"run_dir={run}",
        ]
        subprocess.run([PROGRAM, "train", *words], check=True, capture_output=True)
        self.assertEqual(self.convert(run).returncode, 0)
        found = scalars(run / "tensorboard/trained")
        for line in (run / "metrics.jsonl").read_text().splitlines():
            event = json.loads(line)
            if event["event"] == "epoch":
                self.assertAlmostEqual(found["train/loss", event["epoch"]], event["loss"], delta=1e-6)
            else:
                self.assertAlmostEqual(
                    found["validation/auc/all", event["epoch"]], event["auc"]["all"], delta=1e-6
                )
        self.assertEqual({step for tag, step in found if tag == "train/loss"}, {1, 2})

    def test_faults(self):
        run = self.write_run()
        (self.folder / "mine").mkdir()
        (self.folder / "empty").mkdir()
        torn = self.write_run("torn")
        (torn / "metrics.jsonl").write_text("{\n" + (torn / "metrics.jsonl").read_text())
        table = self.folder / "table"
        table.mkdir()
        (table / "results.json").write_text(
            self.results([{"row": "a", "column": "b", "seed": 1, "folder": "gone"}])
        )
        (self.folder / "link").symlink_to(self.folder / "empty")
        piped = self.write_run("piped")
        (piped / "metrics.jsonl").unlink()
        os.mkfifo(piped / "metrics.jsonl")
        before = sorted(self.folder.rglob("*"))
        for words, named in [
            ([], "name the folder"),
            ([run, run], "twice"),
            ([self.folder / "nowhere"], "there is no such folder"),
            ([self.folder / "empty"], "no results.json"),
            ([run, "--out", self.folder / "mine"], "something else made it"),
            ([run, "--out", self.folder / "a/b"], "there is no folder"),
            ([run, "--out", self.folder / "link"], "this is a link"),
            ([piped], "metrics.jsonl: is no file"),
            ([torn], "metrics.jsonl:1: not what"),
            ([table], "none of the run folders"),
        ]:
            with self.subTest(words=words):
                done = self.convert(*words)
                self.assertEqual(
                    (done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr
                )
                self.assertIn(named, done.stderr)
                self.assertEqual(sorted(self.folder.rglob("*")), before)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
