#!/usr/bin/env python3
"""./run report: pages in headless Chromium against results.json and ./run statistics, one error a fault.

usage: report_test.py PROGRAM [unittest's arguments]

Runs itself by the Python that `./run test` has installed with a browser's driver, and the page's maker by that of
`./run report`. Exits with 77 where they, or Chromium, are not there.
"""

import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from environments import python_of, run_by, skip

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "tools/report/page.py"

run_by("browser", "playwright", "axe_playwright_python")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(PAGE.parent))
import directions

PROGRAM = sys.argv[1]
PYTHON = python_of("report")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
for what, found in (("packages of ./run report", PYTHON), ("Chromium", CHROMIUM)):
    if found is None:
        skip(what)
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
MOST_BYTES, MOST_MS = 5e6, 2000  # of a page of 500 cells
HOSTILE = ["<script>alert(1)</script>", "a & \"b\" 'c' | $x_1$", "ряд 行 " + "long " * 30]


def report(*words, program="/bin/false", **more):
    return subprocess.run(
        [PYTHON, "-B", str(PAGE), str(program), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def naive_auc(logits, labels):
    pairs = [
        (a, b)
        for a, p in zip(logits, labels, strict=True)
        if p
        for b, q in zip(logits, labels, strict=True)
        if not q
    ]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


BUCKETS = ["cold_tail", "cold_head", "warm_tail", "warm_head"]


def guidance(epoch, collapsed):
    bins = [{"count": 0.0, "mean_alpha": None, "right": None}] * 5
    bins = bins + [{"count": 10.0 * k, "mean_alpha": 0.1 * k + 0.05, "right": 0.1 * k} for k in range(5, 10)]
    return {
        "epoch": epoch,
        "buckets": {
            name: {"mean_alpha": 0.5 + 0.1 * k, "mean_weight": 0.2 * k + 0.1}
            for k, name in enumerate(BUCKETS)
        },
        "collapsed": collapsed,
        "calibration_error": 0.03,
        "reliability": bins,
    }


def write_run(folder, row, seed, config, figures):
    """A folder as `sllmr train` leaves it."""
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(config)
    (folder / "model.safetensors").write_text(f"model of {folder.name}")
    gated = "calibrated" in row
    events = [guidance(epoch, "open" if epoch == 3 else None) for epoch in (1, 2, 3)] if gated else []
    (folder / "guidance.jsonl").write_text(
        "".join(json.dumps(event) + "\n" for event in events) + '{"epoch": 4, "torn'
    )
    metrics = []
    for epoch in (1, 2, 3):
        metrics.append({"event": "epoch", "epoch": epoch, "loss": 0.7 / epoch, "rows": 1000, "seconds": 0.5})
        metrics.append(
            {
                "event": "validation",
                "epoch": epoch,
                "auc": {"all": 0.6 + 0.01 * epoch, "cold": 0.6, "tail": None},
            }
        )
    (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in metrics))
    summary = {
        "method": row,
        "model": "dcnv2",
        "seed": seed,
        "config": config,
        "commit": "0123456789ab",
        "device": "cpu",
        "threads": 1,
        "epochs": 3,
        "machine": {"cpu": "a processor", "gpu": ""},
        "memory": {"peak_resident_bytes": 1 << 30, "peak_device_bytes": 1 << 20},
        "seconds": {"epoch": 0.5, "total": 2.0},
        "parameters": 12345,
        "rows_per_s": 2000.5,
        "guidance": events[-1] if events else None,
        "guidance_cost": {"tokens_in": None, "money": None},
        "validation": {"monitor": "auc", "best": 0.63, "best_epoch": 3},
        "test": {"protocol": "ctr", "auc": figures, "n": {"all": 240, "cold": 80, "tail": 60}},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return summary


def write_table(
    out, names=("None", "random .25", "random .75", "oracle", "calibrated"), backbones=("A ", "B "), users=40
):
    """A folder as `experiment run` leaves it, with all that any figure needs; noise sets its columns apart."""
    gains = {"None": 0.8, "random .25": 0.9, "random .75": 1.0, "oracle": 1.3, "calibrated": 1.2}
    methods = {"random .25": "random", "random .75": "random"}
    cells, runs, published = [], [], []
    rows = [backbone + name for backbone in backbones for name in names]
    columns = {"0": 0.0, "half": 0.5, "all of it": 1.0}
    for column, noise in columns.items():
        for row in rows:
            name = next((each for each in gains if row.endswith(each)), "None")
            published += [
                {"row": row, "column": column, "metric": f"auc.{part}", "value": 0.7}
                for part in ("all", "cold")
            ]
            for seed in (1, 2, 3):
                shared = random.Random(f"{column} {seed}")  # the seed's users and labels, of every row
                own = random.Random(f"{row} {column} {seed}")
                lines = ["user_id\titem_id\tlabel\tlogit\tcold\ttail"]
                found = []
                for user in range(users):
                    for k in range(4):
                        label, tail = k % 2, shared.random() < 0.4
                        logit = round(own.gauss(gains[name] * (1 - 0.3 * noise) * label, 1), 6)
                        found.append((logit, label, user % 3 == 0, tail))
                        lines.append(
                            f"u{user}\ti{shared.randrange(99)}\t{label}\t{logit}\t{int(user % 3 == 0)}\t{int(tail)}"
                        )
                figures = {}
                for part, keeps in (
                    ("all", lambda _: True),
                    ("cold", lambda row: row[2]),
                    ("tail", lambda row: row[3]),
                ):
                    kept = [each for each in found if keeps(each)]
                    figures[part] = naive_auc([each[0] for each in kept], [each[1] for each in kept])
                config = (
                    f"method = '{methods.get(name, name.lower())}'\nseed = {seed}\n[eval]\nprotocol = 'ctr'\n[llm]\n"
                    f"noise = {noise if name != 'None' else 0.0}\n[train]\neval_every = 1\n[defaults.eval]\nmonitor = 'auc'\n"
                )
                digits = hashlib.sha256(f"{row}{column}".encode()).hexdigest()[:8]
                folder = out.parent / "runs" / f"{digits}_{seed}"
                write_run(folder, row, seed, config, figures)
                digest = hashlib.sha256(
                    (folder / "model.safetensors").read_bytes() + config.encode()
                ).hexdigest()[:16]
                (folder / f"predictions.{digest}.tsv").write_text("\n".join(lines) + "\n")

                def add(metric, value, part="all"):
                    cells.append(
                        {
                            "row": row,
                            "column": column,
                            "seed": seed,
                            "metric": metric,
                            "slice": part,
                            "value": value,
                        }
                    )

                for part, value in figures.items():
                    add("auc", value, part)
                    add("log_loss", 1 - value, part)
                add(
                    "guidance.mean_weight",
                    None if name == "None" else {"random .25": 0.25, "random .75": 0.75}.get(name, 0.6),
                )
                add("guidance_cost.tokens_in", 1000 * rows.index(row))
                add("guidance_cost.money", None)
                add("seconds.epoch", 0.1 + 0.1 * rows.index(row))
                add("memory.peak_resident_bytes", 1 << 28)
                runs.append(
                    {
                        "row": row,
                        "column": column,
                        "seed": seed,
                        "folder": str(folder),
                        "data_hash": "2e8ede96100082d0",
                        "feature_hash": None,
                        "text_hash": None,
                        "scores_hash": None,
                        "vectors_hash": None,
                        "gate_hash": None,
                        "commit": "0123456789ab",
                        "machine": {"cpu": "a processor", "cores": 2, "gpu": ""},
                        "device": "cpu",
                        "threads": 1,
                        "seconds": 2.0,
                        "config": config,
                    }
                )
    out.mkdir(parents=True)
    told = {
        "schema": 1,
        "title": "A table",
        "metric": "auc.all",
        "complete": True,
        "rows": rows,
        "columns": [*columns],
        "cells": cells,
        "runs": runs,
        "published": published,
    }
    (out / "results.json").write_text(json.dumps(told))
    return told


def write_tuning(out):
    out.mkdir()
    trials = {"counted": 3, "complete": 2, "pruned": 1, "diverged": 0, "failed": 0}
    methods = {
        name: {"trials": trials, "validation": 0.8, "seconds": 9.5, "params": {"train.lr": 0.1}}
        for name in "xy"
    }
    (out / "tuning.json").write_text(json.dumps({"monitor": "auc", "methods": methods}))
    (out / "curve.tsv").write_text("trials\tx\ty\n1\t\t0.7\n2\t0.75\t0.7\n3\t0.8\t0.8\n")


def write_judge(out):
    out.mkdir()
    share = {"value": 0.6, "low": 0.5, "high": 0.7, "n": 50}
    bins = [
        {"low": k / 10, "high": (k + 1) / 10, "mean_score": k / 10 + 0.05, "probes": share} for k in range(10)
    ]
    reliability = {
        "all": share | {"popularity": 0.5},
        "history": ["1-2", "3+"],
        "popularity": ["tail 20 %", "others"],
        "cells": [[share, share | {"value": 0.85}], [share | {"value": None}, share]],
    }
    told = {"table": "file:x.scores", "calibration": {"bins": bins}, "reliability": reliability}
    (out / "report.json").write_text(json.dumps(told))


def write_large(out, rows=50, columns=10):
    """A results.json of 500 cells by three seeds, without run folders."""
    draw = random.Random(5)
    rows = ["none", *(f"a method with its settings llm.lambda=0.{k}" for k in range(1, rows))]
    columns = [f"domain {k}" for k in range(columns)]
    cells, runs, published = [], [], []
    for row in rows:
        for column in columns:
            for seed in (1, 2, 3):
                runs.append(
                    {"row": row, "column": column, "seed": seed, "folder": f"runs/gone/{row} {column} {seed}"}
                )
                runs[-1] |= {
                    "data_hash": "2e8ede96100082d0",
                    "commit": "0123456789ab",
                    "device": "cpu",
                    "seconds": 9.5,
                }
                of = {"row": row, "column": column, "seed": seed}
                for metric in ("auc", "gauc", "log_loss"):
                    for part in ("all", "cold", "tail"):
                        cells.append(of | {"metric": metric, "slice": part, "value": draw.gauss(0.8, 0.004)})
                for metric in ("seconds.epoch", "guidance_cost.tokens_in"):
                    cells.append(of | {"metric": metric, "slice": "all", "value": draw.uniform(1, 1e6)})
            for part in ("all", "cold", "tail"):
                published.append({"row": row, "column": column, "metric": f"auc.{part}", "value": 0.8})
    told = {
        "schema": 1,
        "title": "Large",
        "metric": "auc.all",
        "complete": True,
        "rows": rows,
        "columns": columns,
    }
    out.mkdir()
    (out / "results.json").write_text(
        json.dumps(told | {"cells": cells, "runs": runs, "published": published})
    )


def write_figures(out, values, metric="auc.all", columns=("x",), **more):
    """A results.json of figures alone: `values` by row is {seed: value}, or {column: {seed: value}}."""
    out.mkdir(parents=True)
    name, _, part = metric.rpartition(".")
    cells, runs = [], []
    for row, told in values.items():
        for column in columns:
            for seed, value in (told.get(column, {}) if columns[0] in told else told).items():
                of = {"row": row, "column": column, "seed": seed}
                cells.append(of | {"metric": name, "slice": part, "value": value})
                runs.append(of | {"folder": "gone"})
    told = {"schema": 1, "title": out.name, "metric": metric, "complete": True, "rows": [*values]}
    told |= {"columns": [*columns], "cells": cells, "runs": runs}
    (out / "results.json").write_text(json.dumps(told | more))


class Browser:
    """Chromium without a network; notes what a page says to the console and asks for."""

    def __init__(self):
        self._driver = sync_playwright().start()
        self._browser = self._driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

    def open(self, path, scheme="light"):
        context = self._browser.new_context(
            color_scheme=scheme,
            offline=True,
            permissions=["clipboard-read", "clipboard-write"],
            viewport={"width": 1280, "height": 900},
        )
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.resolve().as_uri())
        return page

    def close(self):
        self._browser.close()
        self._driver.stop()


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="sllmr_report.", dir=MEMORY))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def made(self, *words, **more):
        done = report(*words, **more)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return Path(done.stdout.strip())

    @staticmethod
    def unfold(page):
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        page.wait_for_function("!document.querySelector('[data-folded]')")
        page.wait_for_function(
            "[...document.querySelectorAll('.drawing')].every((each) => each.querySelector('svg'))"
        )

    def table(self, page, figure, caption="", within=""):
        """Rows of cells {text, value, status}, of the first table with the caption."""
        return page.evaluate(
            """([figure, caption, within]) => {
              const tables = [...document.querySelectorAll(`${within} [data-figure="${figure}"] table`)];
              const table = tables.find((each) => each.caption.textContent.includes(caption));
              return [...table.rows].map((row) => [...row.cells].map((cell) => ({
                text: cell.textContent.replace(/\\s+/g, " ").trim(), status: cell.className,
                value: cell.dataset.value === undefined ? null : Number(cell.dataset.value) })));
            }""",
            [figure, caption, within],
        )


class FullPage(Case):
    """All figures at once: a table, one of its runs, a tuning and a judge."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.told = write_table(cls.folder / "table")
        run = Path(cls.told["runs"][-1]["folder"])
        write_tuning(cls.folder / "tuning")
        write_judge(cls.folder / "judge")
        cls.out = cls.folder / "page.html"
        names = [cls.folder / "table", run, cls.folder / "tuning", cls.folder / "judge"]
        done = report(*names, "--out", cls.out)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        cls.page = cls.browser.open(cls.out)
        cls.unfold(cls.page)

    def values(self, row, column, part="all", metric="auc"):
        wanted = (row, column, part, metric)
        return [
            cell["value"]
            for cell in self.told["cells"]
            if (cell["row"], cell["column"], cell["slice"], cell["metric"]) == wanted
        ]

    def test_every_figure_is_there(self):
        code = "import sys; sys.path[:0] = sys.argv[1:]; from registry import FIGURES; print(*(f'{kind}.{m.NAME}' for kind in FIGURES for m in FIGURES[kind]))"
        tools = ROOT / "tools"
        paths = [str(tools / "report"), str(tools), str(tools / "statistics")]
        done = subprocess.run([PYTHON, "-B", "-c", code, *paths], capture_output=True, text=True, check=True)
        registered = [name.split(".")[1] for name in done.stdout.split()]
        shown = self.page.evaluate(
            "[...document.querySelectorAll('[data-figure]')].map((each) => each.dataset.figure)"
        )
        self.assertEqual(shown, registered)
        self.assertEqual(self.page.locator("text=Left out").count(), 0)
        undrawn = self.page.evaluate(
            "[...document.querySelectorAll('.drawing')].filter((each) => !each.querySelector('svg[role=img][aria-label] *')).length"
        )
        self.assertEqual(undrawn, 0)
        tables = {"overview", "scores", "metrics", "provenance", "facts"}
        drawn = self.page.evaluate(
            "[...document.querySelectorAll('[data-figure]:has(svg)')].map((each) => each.dataset.figure)"
        )
        self.assertEqual({*registered} - {*drawn}, tables)
        without_table = self.page.evaluate(
            "[...document.querySelectorAll('[data-figure]:not(:has(table))')].length"
        )
        self.assertEqual(without_table, 0)

    def test_no_errors_no_network_no_violations_in_both_themes(self):
        for scheme in ("light", "dark"):
            page = self.browser.open(self.out, scheme)
            page.add_style_tag(content=".figure { content-visibility: visible !important }")
            found = Axe().run(page)
            self.assertEqual(found.violations_count, 0, found.generate_report())
            self.assertEqual((page.said, page.asked), ([], [self.out.as_uri()]))
            page.close()

    def test_scores_are_those_of_results(self):
        for part, caption in (("all", "all rows"), ("cold", "cold users"), ("tail", "tail items")):
            header, *rows = self.table(self.page, "scores", caption)
            self.assertEqual([cell["text"] for cell in header], ["row", *self.told["columns"]])
            self.assertEqual([row[0]["text"] for row in rows], self.told["rows"])
            for row in rows:
                for column, cell in zip(self.told["columns"], row[1:], strict=True):
                    values = self.values(row[0]["text"], column, part)
                    self.assertAlmostEqual(cell["value"], statistics.fmean(values), delta=1e-9)
                    expected = f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"
                    self.assertTrue(cell["text"].startswith(expected), cell)

    def test_cells_are_within_or_outside_the_interval(self):
        header, *rows = self.table(self.page, "paper")
        names = [cell["text"] for cell in header]
        self.assertEqual(len(rows), 2 * len(self.told["published"]) / 2)
        seen = set()
        for row in rows:
            of = dict(zip(names, row, strict=True))
            expected = (
                "within"
                if of["low"]["value"] <= 0 <= of["high"]["value"]
                else "below ours"
                if of["low"]["value"] > 0
                else "above ours"
            )
            self.assertEqual(of["paper's is"]["text"], expected)
            middle = statistics.fmean(
                self.values(of["row"]["text"], of["column"]["text"], of["slice"]["text"])
            )
            self.assertAlmostEqual(of["difference"]["value"], middle - 0.7, delta=1e-9)
            scores = self.table(
                self.page, "scores", {"all": "all rows", "cold": "cold users"}[of["slice"]["text"]]
            )
            at = [cell["text"] for cell in scores[0]].index(of["column"]["text"])
            cell = next(line[at] for line in scores if line[0]["text"] == of["row"]["text"])
            self.assertEqual(
                cell["status"], {"below ours": "above", "above ours": "below"}.get(expected, expected)
            )
            seen.add(expected)
        self.assertIn("within", seen)
        self.assertGreater(len(seen), 1)

    def test_differences_are_those_of_statistics(self):
        told = self.folder / "told.json"
        words = [
            "--program=/bin/false",
            "--family=all,cold,tail",
            f"--json={told}",
            str(self.folder / "table"),
        ]
        subprocess.run(
            [PYTHON, "-B", str(ROOT / "tools/statistics/report.py"), *words], check=True, capture_output=True
        )
        expected = {
            (method["row"], part["column"], part["slice"]): method["comparison"]
            for part in json.loads(told.read_text())["parts"]
            for method in part["methods"]
            if method["comparison"]
        }
        two_sided = {key: 2 * min(found["p"], 1 - found["p"]) for key, found in expected.items()}
        holm, largest = {}, 0.0
        for k, key in enumerate(sorted(two_sided, key=two_sided.get)):
            largest = max(largest, min(1.0, (len(two_sided) - k) * two_sided[key]))
            holm[key] = largest
        header, *rows = self.table(self.page, "forest")
        names = [cell["text"] for cell in header]
        self.assertEqual(len(rows), len(expected))
        for row in rows:
            of = dict(zip(names, row, strict=True))
            key = of["row"]["text"], of["column"]["text"], of["slice"]["text"]
            found = expected[key]
            self.assertEqual(of["over"]["text"], of["row"]["text"][:2] + "None")
            for name, value in [
                ("difference", found["mean"]),
                ("low", found["interval"]["low"]),
                ("high", found["interval"]["high"]),
                ("seeds", 3),
                ("p", two_sided[key]),
                ("Holm", holm[key]),
            ]:
                if of[name]["text"] != "<.0001":
                    self.assertAlmostEqual(of[name]["value"], value, delta=1e-8)

    def test_what_other_figures_tell(self):
        page = self.page
        (gate,) = [
            row
            for row in self.table(page, "gate")[1:]
            if [cell["text"] for cell in row[:4]] == ["A calibrated", "half", "3", "cold user, tail item"]
        ]
        self.assertEqual((gate[4]["value"], gate[6]["value"]), (0.5, 0.1))
        self.assertEqual(gate[8]["text"], "open (seed 1); open (seed 2); open (seed 3)")
        self.assertIn("⚠ collapsed: open", page.locator("[data-figure=gate] svg").first.text_content())
        reliability = self.table(page, "reliability")[1]
        self.assertEqual([cell["value"] for cell in reliability[2:]], [0.55, 0.5, 150, 3])
        coverage = {(row[0]["text"], row[1]["text"]): row for row in self.table(page, "coverage")[1:]}
        self.assertEqual(coverage["B random .75", "0"][3]["value"], 0.75)
        self.assertEqual(coverage["A oracle", "half"][2]["text"], "oracle")
        noise = self.table(page, "curves")[1:]
        self.assertEqual({row[2]["value"] for row in noise}, {0, 0.5, 1})
        ranks = {row[0]["text"]: row[1]["value"] for row in self.table(page, "ranks")[1:]}
        self.assertAlmostEqual(sum(ranks.values()), 15, delta=1e-6)
        costs = {(row[0]["text"], row[1]["text"]): row for row in self.table(page, "cost")[1:]}
        header = [cell["text"] for cell in self.table(page, "cost")[0]]
        self.assertEqual(costs["A random .25", "0"][header.index("tokens read")]["value"], 1000)
        self.assertEqual(costs["A random .25", "0"][header.index("seconds an epoch")]["value"], 0.2)
        self.assertIn("0.2", page.locator("[data-figure=cost] svg").first.text_content())
        self.assertNotIn("200m", page.locator("[data-figure=cost] svg").first.text_content())
        tuning = self.table(page, "tuning")[1]
        self.assertEqual(
            [cell["text"] for cell in tuning], ["x", "3", "2", "1", "0", "0", "0.8000", "10", "train.lr=0.1"]
        )
        facts = {row[0]["text"]: row[1] for row in self.table(page, "facts", "The run")[1:]}
        self.assertEqual(facts["peak memory, resident"]["value"], 1024)
        self.assertEqual(facts["the judge's money"]["text"], "–")
        commands = self.table(page, "provenance", "command")
        run = next(each for each in self.told["runs"] if (each["row"], each["column"]) == ("A None", "0"))
        self.assertEqual(
            commands[1][2]["text"],
            f"./run sllmr train {run['folder']}/config.toml threads=1 run_dir=runs/again/A_None_0",
        )
        folders = [row[2]["text"].split()[-1] for row in commands[1:]]
        self.assertEqual(len({*folders}), len(folders))
        axes = page.locator("[data-figure=bars] svg").first.text_content()
        self.assertEqual(axes.count("AB"), 4)  # a panel a method, each of which names its backbones
        self.assertEqual(len(page.query_selector_all("[data-figure=curves] .drawing")), 2)  # of ten rows

    def test_vega_takes_over_every_drawing_and_gives_it_back(self):
        page = self.browser.open(self.out)
        self.unfold(page)
        buttons = page.locator("[data-explore]")
        self.assertGreater(buttons.count(), 20)
        for button in buttons.all():
            button.evaluate("(each) => each.click()")
        page.wait_for_function(
            "[...document.querySelectorAll('[data-explore]')].every((each) => each.textContent === 'Back to the still')",
            timeout=40000,
        )
        self.assertEqual(page.said, [])
        page.evaluate("for (const each of document.querySelectorAll('[data-explore]')) each.click()")
        self.assertEqual(page.locator(".vega-embed").count(), 0)
        self.assertEqual(page.locator("[data-explore]:text-is('Explore')").count(), buttons.count())
        page.close()

    def test_keyboard_theme_and_tips(self):
        page = self.browser.open(self.out)
        page.keyboard.press("Tab")
        self.assertEqual(page.evaluate("document.activeElement.textContent"), "Skip to the figures")
        self.assertTrue(page.evaluate("document.activeElement.getBoundingClientRect().left >= 0"))
        page.keyboard.press("Enter")
        self.assertEqual(page.evaluate("document.activeElement.id"), "main")
        colour = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(colour)
        page.locator("[data-theme-choice=dark]").focus()
        page.keyboard.press("Enter")
        self.assertNotEqual(page.evaluate(colour), light)
        page.reload()
        self.assertNotEqual(page.evaluate(colour), light)
        mark = page.locator("[data-figure=seeds] [data-tip]").first
        mark.scroll_into_view_if_needed()
        mark.hover()
        self.assertEqual(page.locator("#tip").text_content(), mark.get_attribute("data-tip"))
        self.assertRegex(mark.get_attribute("data-tip"), r"^A None, mean: 0\.\d{4}$")
        page.close()

    def test_tables_are_copied(self):
        page = self.browser.open(self.out)
        scores = page.locator("[data-figure=scores]")
        scores.locator("[data-copy=markdown]").first.click()
        page.wait_for_function("document.getElementById('said').textContent === 'Copied.'")
        lines = page.evaluate("navigator.clipboard.readText()").splitlines()
        self.assertEqual(lines[:2], ["| row | 0 | half | all of it |", "| --- | ---: | ---: | ---: |"])
        self.assertRegex(lines[2], r"^\| A None \| 0\.\d{4} ± 0\.\d{4} \(paper 0\.7000, [\w ]+\) \|")
        self.assertEqual(len(lines), 2 + len(self.told["rows"]))
        bold = scores.locator("table").first.locator("b").count()
        self.assertGreater(bold, 0)
        self.assertEqual(len(re.findall(r"\| \*\*0\.\d{4} ± 0\.\d{4}\*\* \(", "\n".join(lines))), bold)
        scores.locator("[data-copy=latex]").first.click()
        page.wait_for_timeout(100)
        text = page.evaluate("navigator.clipboard.readText()")
        self.assertIn(
            "\\begin{tabular}{lrrr}\n\\toprule\nrow & 0 & half & all of it \\\\\n\\midrule\nA None & 0.", text
        )
        self.assertIn(" $\\pm$ ", text)
        self.assertEqual(text.count("\\textbf{0."), bold)
        page.close()

    def test_print_is_light_whole_and_as_wide_as_the_paper(self):
        page = self.browser.open(self.out)
        page.set_viewport_size({"width": 700, "height": 900})
        page.locator("[data-theme-choice=dark]").click()
        folded = page.locator("details:not([open])").count()
        self.assertGreater(folded, 5)
        page.wait_for_timeout(200)
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        self.assertEqual(
            page.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)"
        )
        self.assertEqual(page.locator("details:not([open]), [data-folded]").count(), 0)
        wide = page.evaluate(
            """[...document.querySelectorAll("table, .drawing svg")].filter(
                 (each) => each.getBoundingClientRect().right > innerWidth).length"""
        )
        self.assertEqual(wide, 0)
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        self.assertEqual(page.locator("details:not([open])").count(), folded)
        self.assertEqual(page.said, [])
        page.close()

    def test_the_same_bytes_again(self):
        again = self.folder / "again.html"
        write_tuning(self.folder / "t2")
        first = self.made(self.folder / "t2", "--out", again).read_bytes()
        self.assertEqual(self.made(self.folder / "t2", "--out", again).read_bytes(), first)


class Pages(Case):
    def test_hostile_names(self):
        write_table(self.folder / "hostile/table", names=("None", *HOSTILE), backbones=("",), users=12)
        page = self.browser.open(self.made(self.folder / "hostile/table"))
        self.assertEqual(
            [row[0]["text"] for row in self.table(page, "scores")[1:]],
            ["None", *(" ".join(name.split()) for name in HOSTILE)],
        )
        self.assertEqual(page.said, [])
        drawn = page.locator("[data-figure=seeds] svg").first.text_content()
        self.assertIn(HOSTILE[0], drawn)
        page.locator("[data-figure=forest] [data-explore]").first.click()
        page.wait_for_selector(".vega-embed svg[role=img]")
        page.locator("[data-figure=scores] [data-copy=latex]").first.click()
        page.wait_for_function("document.getElementById('said').textContent === 'Copied.'")
        self.assertIn(
            "a \\& \"b\" 'c' \\textbar{} \\$x\\_1\\$ &", page.evaluate("navigator.clipboard.readText()")
        )
        page.locator("[data-figure=scores] [data-copy=markdown]").first.click()
        page.wait_for_timeout(100)
        self.assertIn("\\<script\\>alert(1)\\</script\\>", page.evaluate("navigator.clipboard.readText()"))
        self.assertEqual(page.said, [])
        self.unfold(page)  # the full page's tables are too many for axe
        found = Axe().run(page)
        self.assertEqual(found.violations_count, 0, found.generate_report())

    def test_what_is_concluded(self):
        draw = random.Random(3)
        base = {seed: 0.80 + 0.001 * draw.random() for seed in range(1, 6)}

        def shifted(*by):
            return {seed: base[seed] + each for seed, each in enumerate(by, 1)}

        verdicts = {
            "none": base,
            "better": shifted(0.010, 0.011, 0.0105, 0.0102, 0.0108),
            "worse": shifted(-0.010, -0.011, -0.0105, -0.0102, -0.0108),
            "unlucky": shifted(-0.004, -0.006, -0.002, -0.005, -0.001),  # p = .02 before Holm
            "once": shifted(0.05),
            "alike": shifted(0.01, 0.01, 0.01, 0.01, 0.01),
        }
        noise = {f"noise {k}": shifted(*(draw.gauss(0, 0.01) for _ in range(5))) for k in range(6)}
        published = [
            {"row": row, "column": "x", "metric": "auc.all", "value": 0.7} for row in ("none", "once")
        ]
        write_figures(self.folder / "v/verdicts", verdicts | noise, published=published)
        three = {
            row: {column: {1: value, 2: value + 0.01} for column in "xyz"}
            for row, value in zip("abc", (0.1, 0.2, 0.3), strict=True)
        }
        three["less"] = {column: {1: 0.01, 2: 0.02} for column in "xy"}
        write_figures(self.folder / "v/lower", three, "log_loss.all", "xyz", published=published)
        write_figures(self.folder / "v/unknown", three, "guidance.mean_alpha.all", "xyz")
        write_figures(
            self.folder / "v/unvalued", {"none": {1: None}, "a": {1: None}}, "guidance_cost.seconds.all"
        )
        odd = [
            "none",
            "a\ud800",
            "b\0\x1b\ufffe",
            "😀" * 300,
            "😀" * 299 + "😁",
            "long " * 4000,
            "x" * 30 + "😀" * 3,
        ]
        write_figures(
            self.folder / "v/odd", {name: {1: 0.5, 2: 0.6 + 0.01 * k} for k, name in enumerate(odd)}
        )
        write_figures(self.folder / "w/odd", {"none": {1: 0.5}})
        names = ["verdicts", "lower", "unknown", "unvalued", "odd"]
        page = self.browser.open(
            self.made(*(self.folder / "v" / name for name in names), self.folder / "w/odd", "--seeds-alone")
        )
        self.unfold(page)
        self.assertEqual(page.said, [])

        facts = {row[0]["text"]: row[1]["text"] for row in self.table(page, "overview", within="#s1")[1:]}
        self.assertRegex(facts["Better than none"], r"^better \(x, all: \+0.0105\)$")
        self.assertRegex(facts["Worse than none"], r"^worse \(x, all: -0.0105\)$")
        self.assertEqual(
            facts["Not shown either way"], "9 of 11 comparisons, 1 of them with one seed, which has no test"
        )
        forest = {
            row[0]["text"]: [cell["text"] for cell in row]
            for row in self.table(page, "forest", within="#s1")[1:]
        }
        self.assertLess(float(forest["unlucky"][8]), 0.05)
        self.assertLess(
            float(forest["unlucky"][6]), 0
        )  # the interval too, which is not adjusted, and says so
        self.assertIn("not adjusted", page.locator("#s1-forest .notes").text_content())
        self.assertEqual(forest["once"][5:9], ["–", "–", "1 seed alone, most have 5", "–"])
        self.assertEqual(forest["alike"][5:7], ["–", "–"])
        scores = {row[0]["text"]: row[1] for row in self.table(page, "scores", within="#s1")[1:]}
        self.assertRegex(scores["once"]["text"], r"n = 1, paper 0.7000, one seed$")
        self.assertEqual((scores["once"]["status"], scores["none"]["status"]), ("", "above"))

        ranks = {row[0]["text"]: row[1]["value"] for row in self.table(page, "ranks", within="#s2")[1:]}
        self.assertEqual(ranks, {"a": 1, "b": 2, "c": 3})
        self.assertIn("Left out of the ranks: less (not in z).", page.locator("#s2-ranks").text_content())
        self.assertEqual(
            page.locator("#s2-scores b").evaluate_all(
                "all => all.map((each) => each.closest('tr').cells[0].textContent.trim())"
            ),
            ["a", "less", "less"],
        )
        self.assertNotIn("paper:", page.locator("#s2-scores").text_content())
        left_out = page.locator("section:has(> #s3-missing)").text_content()
        self.assertIn("which way guidance.mean_alpha is better is not known", left_out)
        self.assertEqual(page.locator("#s3-scores b").count(), 0)
        left_out = page.locator("section:has(> #s4-missing)").text_content()
        self.assertIn("Scores: no run tells guidance_cost.seconds", left_out)

        rows = [row[0]["text"] for row in self.table(page, "scores", within="#s5")[1:]]
        self.assertEqual((len({*rows}), rows[1], max(map(len, rows)) <= 164), (len(odd), "a\ufffd", True))
        self.assertEqual(len(page.query_selector_all("#s5-seeds svg")), 1)
        titles = page.locator("nav p").all_text_contents()
        self.assertEqual(titles[4:], [f"odd ({self.folder}/v/odd)", f"odd ({self.folder}/w/odd)"])

    def test_directions_are_those_of_the_program(self):
        told = subprocess.run([PROGRAM, "metrics"], capture_output=True, text=True, check=True).stdout
        lines = [line.split(maxsplit=1) for line in told.splitlines() if line.startswith("  ")]
        self.assertGreater(len(lines), 10)
        for name, says in lines:
            with self.subTest(name=name):
                expected = -1 if says.endswith("lower is better") else 1
                self.assertEqual(directions.direction(name.replace("@K", "@10")), expected)
        for name, expected in [
            ("seconds.epoch", -1),
            ("memory.peak_resident_bytes", -1),
            ("guidance.alpha", None),
        ]:
            self.assertEqual(directions.direction(name), expected)

    def test_500_cells(self):
        write_large(self.folder / "large")
        out = self.made(self.folder / "large", "--seeds-alone")
        self.assertLess(out.stat().st_size, MOST_BYTES)
        page = self.browser.open(out)
        took = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        self.assertLess(took, MOST_MS)
        self.assertEqual(page.said, [])
        print(
            f"500 cells by 3 seeds: {out.stat().st_size / 1e6:.2f} MB, loaded in {took:.0f} ms",
            file=sys.stderr,
        )
        folded = page.locator("[data-figure=forest] > details").first
        self.assertEqual(folded.locator("svg").count(), 0)
        folded.locator("summary").first.click()
        page.wait_for_function("document.querySelectorAll('[data-figure=forest] svg').length === 10")

    def test_runs_that_are_gone_and_what_is_not_there(self):
        told = write_table(self.folder / "gone/table", users=12)
        shutil.rmtree(self.folder / "gone/runs")
        told["complete"] = False
        told["runs"] = [run for run in told["runs"] if (run["row"], run["column"]) != ("B oracle", "0")]
        for cell in told["cells"]:
            if (cell["row"], cell["column"], cell["slice"]) == ("B random .25", "0", "cold"):
                cell["value"] = None
        (self.folder / "gone/table/results.json").write_text(json.dumps(told))
        done = report(self.folder / "gone/table")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(
            done.stderr,
            f"report: warning: {self.folder}/gone/table: no intervals over users: run it from where the runs were made "
            "(the page says more)\n",
        )
        page = self.browser.open(Path(done.stdout.strip()))
        facts = {row[0]["text"]: row[1]["text"] for row in self.table(page, "overview")[1:]}
        self.assertRegex(facts["Intervals"], "over seeds alone: .*no checkpoint of ")
        self.assertTrue(facts["Finished"].startswith("no"))
        scores = {row[0]["text"]: row for row in self.table(page, "scores", "cold users")[1:]}
        self.assertEqual(scores["B oracle"][1]["text"], "not run paper 0.7000")
        self.assertEqual(scores["B random .25"][1]["text"], "no value paper 0.7000")
        left_out = page.locator("section:has(> #s1-missing)").text_content()
        self.assertIn("The gate over the epochs", left_out)
        self.assertEqual(page.said, [])

    def test_one_seed_a_run_without_anything_else_and_another_baseline(self):
        told = write_table(self.folder / "one/table", backbones=("",), users=12)
        told["runs"] = [run for run in told["runs"] if run["seed"] == 2]
        (self.folder / "one/table/results.json").write_text(json.dumps(told))
        page = self.browser.open(self.made(self.folder / "one/table", "--baseline", "oracle"))
        header, *rows = self.table(page, "forest")
        self.assertEqual({row[3]["text"] for row in rows}, {"oracle"})
        self.assertEqual({row[8]["text"] for row in rows}, {"–"})
        self.assertTrue(
            all(row[5]["value"] < row[4]["value"] < row[6]["value"] for row in rows)
        )  # over users
        self.assertEqual({row[7]["text"] for row in rows}, {"1 over users alone"})
        said = page.locator("main").text_content()
        self.assertNotIn("over seeds and users", said)
        self.assertIn("95%, over users alone, of one seed", said)
        self.assertEqual(page.locator("td.within, td.above, td.below").count(), 0)
        self.assertEqual({row[-1]["text"] for row in self.table(page, "paper")[1:]}, {"one seed"})
        facts = {row[0]["text"]: row[1]["text"] for row in self.table(page, "overview")[1:]}
        self.assertEqual((facts["Better than oracle"], facts["Worse than oracle"]), ("none", "none"))

    def test_of_the_program(self):
        """The page of real runs, and the command that makes a cell again."""
        draw, data = random.Random(7), self.folder / "small"
        with open(f"{data}.inter", "w") as file:
            file.write("user_id:token\titem_id:token\ttimestamp:float\n")
            for user in range(80):
                taken = dict.fromkeys((user * 7 + draw.randrange(12)) % 60 for _ in range(9))
                file.writelines(f"u{user}\ti{item}\t{time}\n" for time, item in enumerate(taken))
        Path(f"{data}.item").write_text(
            "item_id:token\ttitle:token_seq\n" + "".join(f"i{k}\tword{k % 7}\n" for k in range(60))
        )
        recipe, out = self.folder / "small.toml", self.folder / "small_out"
        recipe.write_text(
            f'device = "cpu"\nthreads = 1\n[data]\npath = "{data}"\n[model]\nwidth = 32\n[train]\nlr = 0.08\nepochs = 3\neval_every = 1\n'
        )
        words = [
            PROGRAM,
            "compare",
            str(recipe),
            "--methods",
            "none,global,calibrated",
            "--seeds",
            "1,2",
            "--out",
            str(out),
        ]
        subprocess.run(words, check=True, capture_output=True)
        page = self.browser.open(self.made(out, program=PROGRAM))
        self.assertEqual(page.said, [])
        told = json.loads((out / "results.json").read_text())
        for row in self.table(page, "scores")[1:]:
            values = [
                cell["value"]
                for cell in told["cells"]
                if (cell["row"], cell["metric"], cell["slice"]) == (row[0]["text"], "auc", "all")
            ]
            self.assertAlmostEqual(row[1]["value"], statistics.fmean(values), delta=1e-9)
        for figure in ("forest", "gate", "reliability", "learning"):
            self.assertEqual(page.locator(f"[data-figure={figure}] .drawing svg").count(), 1, figure)
        command = self.table(page, "provenance", "command")[3][2]["text"]
        self.assertTrue(command.startswith("./run sllmr train "))
        words = command.removeprefix("./run sllmr ").split()
        again = self.folder / "again"
        subprocess.run([PROGRAM, *words[:-1], f"run_dir={again}"], check=True, capture_output=True)
        first = json.loads((Path(words[1]).parent / "summary.json").read_text())
        self.assertEqual(json.loads((again / "summary.json").read_text())["test"], first["test"])
        single = self.browser.open(self.made(again))
        figures = {row[0]["text"]: row for row in self.table(single, "facts", "Test")[1:]}
        self.assertAlmostEqual(figures["auc"][1]["value"], first["test"]["auc"]["all"], delta=1e-9)


class Faults(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sllmr_report.", dir=MEMORY))
        self.addCleanup(shutil.rmtree, self.folder)

    def assert_errors(self, cases, setup=""):
        """(words, named) of each; in one process, as the packages take longer to load than to find a fault."""
        before = sorted(self.folder.rglob("*"))
        asked = [[str(word) for word in words] for words, _ in cases]
        code = (
            "import contextlib, io, json, sys; sys.path.insert(0, sys.argv[1]); import page\n"
            f"{setup}\n"
            "for words in json.loads(sys.argv[2]):\n"
            "    out, error = io.StringIO(), io.StringIO()\n"
            "    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):\n"
            "        status = page.main(['/bin/false', *words])\n"
            "    print(json.dumps([status, out.getvalue(), error.getvalue()]))"
        )
        words = [PYTHON, "-B", "-c", code, str(PAGE.parent), json.dumps(asked)]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
        for (words, named), line in zip(cases, told, strict=True):
            with self.subTest(words=words):
                status, out, error = json.loads(line)
                self.assertEqual((status, out, error.count("\n")), (1, "", 1), error)
                self.assertIn(named, error)
                self.assertTrue(error.startswith("report: error: "), error)
        self.assertEqual(sorted(self.folder.rglob("*")), before)

    def test_of_the_command_line(self):
        write_tuning(self.folder / "t")
        (self.folder / "empty").mkdir()
        foreign = self.folder / "mine.html"
        foreign.write_text("<p>mine")
        os.mkfifo(self.folder / "pipe")
        self.assert_errors(
            [
                ([], "name the folder"),
                ([self.folder / "t", self.folder / "t"], "twice"),
                ([self.folder / "nowhere"], "there is no such folder"),
                ([self.folder / "empty"], "no results.json, summary.json"),
                ([self.folder / "t", "--out", self.folder / "no/x.html"], "there is no folder"),
                ([self.folder / "t", "--out", self.folder / "empty"], "this is a folder"),
                ([self.folder / "t", "--out", foreign], "something else made this file"),
                ([self.folder / "t", "--out", self.folder / "pipe"], "this is no file"),
                ([self.folder / "t", "--seeds=1"], "--seeds"),
            ]
        )
        self.assertEqual(foreign.read_text(), "<p>mine")

    def test_of_files(self):
        told = write_table(self.folder / "whole", backbones=("",), users=6)
        cells = json.dumps(told["cells"])
        cases = []
        for text, named in [
            ("{", "results.json: not what compare"),
            ("[]", "not what compare"),
            (json.dumps(told)[:-9], "not what compare"),
            (json.dumps(told | {"schema": 2}), "schema 2"),
            (json.dumps(told | {"runs": []}), "no run is finished yet"),
            (json.dumps(told | {"cells": [{"row": "None"}]}), "not what compare"),
            (json.dumps(told | {"cells": [told["cells"][0] | {"value": "x"}]}), "not what compare"),
            (json.dumps(told).replace(cells, cells.replace("null", "NaN", 1)), "not what compare"),
        ]:
            folder = self.folder / f"results_{len(cases)}"
            folder.mkdir()
            (folder / "results.json").write_text(text)
            cases.append(([folder], named))
        for name, text in [
            ("summary.json", "{"),
            ("summary.json", "{}"),
            ("tuning.json", "{}"),
            ("report.json", "[]"),
        ]:
            folder = self.folder / f"other_{len(cases)}"
            folder.mkdir()
            (folder / name).write_text(text)
            cases.append(([folder], f"{name}: not what"))
        whole = self.folder / "whole"
        cases.append(
            ([whole, "--baseline=nope", "--seeds-alone"], "no row is --baseline 'nope'; it has None")
        )
        cases.append(([whole, "--metric=ndcg@10", "--seeds-alone"], "no figure of --metric 'ndcg@10'"))
        log = Path(told["runs"][0]["folder"]) / "metrics.jsonl"
        log.write_text("torn\n" + log.read_text())
        cases.append(([whole, "--seeds-alone"], "metrics.jsonl:1: not what"))
        self.assert_errors(cases)

    def test_of_drawing(self):
        write_tuning(self.folder / "t")
        named = "Tuning, t: Tuning evidence: cannot be drawn: "
        for body, said in [("1 / 0", "division by zero"), ("__import__('os')._exit(3)", "has ended")]:
            self.assert_errors(
                [
                    (
                        [self.folder / "t"],
                        named + (said if "zero" in said else "the process that draws " + said),
                    )
                ],
                f"import chart; chart._render = lambda spec: {body}",
            )
        self.assert_errors(
            [
                (
                    [self.folder / "t"],
                    "tuning.json: the figure 'Tuning evidence' cannot be made of it (KeyError: 3)",
                )
            ],
            "import figures.tuning; figures.tuning.make = lambda source: {}[3]",
        )

    def test_odd_values(self):
        """Of every key of every file: one error that names the file, or a page, never a traceback."""
        told = write_table(self.folder / "whole", names=("None", "calibrated"), backbones=("",), users=6)
        run = Path(next(run for run in told["runs"] if run["row"] == "calibrated")["folder"])
        odd = ['"x"', "true", "null", "{}", "[[1]]", "1e300", "1e999", "1" + "0" * 400, "-1", "0"]
        first = {key: told[key][0] for key in ("cells", "runs", "published")}
        texts = [(self.folder / "whole/results.json", json.dumps(told | {key: "AT"})) for key in told]
        for name, of in first.items():
            for key in of:
                changed = [of | {key: "AT"}, *told[name][1:]]
                texts.append((self.folder / "whole/results.json", json.dumps(told | {name: changed})))
        summary = json.loads((run / "summary.json").read_text())
        nested = [
            (key, inner)
            for key in ("memory", "machine", "validation", "test", "guidance")
            for inner in summary[key]
        ]
        texts += [(run / "summary.json", json.dumps(summary | {key: "AT"})) for key in summary]
        texts += [
            (run / "summary.json", json.dumps(summary | {key: summary[key] | {inner: "AT"}}))
            for key, inner in nested
        ]
        for name in ("metrics.jsonl", "guidance.jsonl"):
            for line in (run / name).read_text().splitlines()[:2]:
                event = json.loads(line)
                texts += [(run / name, json.dumps(event | {key: "AT"}) + "\n") for key in event]
        cases = [
            (
                str(path),
                text.replace('"AT"', value),
                str(path.parent if path.parent == run else self.folder / "whole"),
            )
            for path, text in texts
            for value in odd
        ]
        cases.append((str(run / "summary.json"), "[" * 9000, str(run)))
        (self.folder / "cases.json").write_text(json.dumps(cases))
        code = (
            "import contextlib, io, json, pathlib, sys; sys.path.insert(0, sys.argv[1]); import page\n"
            "page.frame.page = lambda *_: ''\n"  # drawing takes seconds
            "for path, text, folder in json.load(open(sys.argv[2])):\n"
            "    path = pathlib.Path(path); before = path.read_text(); path.write_text(text)\n"
            "    out, error = io.StringIO(), io.StringIO()\n"
            "    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):\n"
            "        status = page.main(['/bin/false', folder, '--seeds-alone'])\n"
            "    path.write_text(before); pathlib.Path(folder, 'report.html').unlink(missing_ok=True)\n"
            "    print(json.dumps([status, error.getvalue()]))"
        )
        words = [PYTHON, "-B", "-c", code, str(PAGE.parent), str(self.folder / "cases.json")]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        refused = 0
        for (path, text, _), line in zip(cases, done.stdout.splitlines(), strict=True):
            status, error = json.loads(line)
            with self.subTest(path=path, text=text[-2000:]):
                self.assertEqual(error.count("\n"), status, error)
                self.assertEqual(Path(path).name in error, status == 1)
                self.assertNotIn("Error: ", error)  # foreseen
            refused += status
        self.assertGreater(refused, len(cases) / 2)

    def test_of_a_full_disk(self):
        write_tuning(self.folder / "t")

        def small():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

        before = sorted(self.folder.rglob("*"))
        done = report(self.folder / "t", preexec_fn=small)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1))
        self.assertIn("File too large", done.stderr)
        self.assertEqual(sorted(self.folder.rglob("*")), before)

    def test_ctrl_c_leaves_nothing(self):
        write_large(self.folder / "large", 20, 6)
        before = sorted(self.folder.rglob("*"))
        for draws in (False, True):  # else it imports
            child = subprocess.Popen(
                [PYTHON, "-B", str(PAGE), "/bin/false", str(self.folder / "large"), "--seeds-alone"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            self.addCleanup(
                lambda child=child: (child.kill(), child.wait(), child.stdout.close(), child.stderr.close())
            )
            time.sleep(0.2)
            end = time.monotonic() + 60
            while draws and not Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text():
                self.assertLess(time.monotonic(), end)
                time.sleep(0.02)
            self.assertIsNone(child.poll())
            stopped = time.monotonic()
            os.killpg(child.pid, signal.SIGINT)  # as a terminal does
            out, error = child.communicate(timeout=30)
            self.assertLess(time.monotonic() - stopped, 2)  # one, and a busy machine
            self.assertEqual((child.returncode, out), (130, ""), error)
            self.assertEqual(sorted(self.folder.rglob("*")), before)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
