#!/usr/bin/env python3
"""./run statistics: estimates against naive ones, intervals by how often they hold, one error a fault.

usage: statistics_test.py PROGRAM [unittest's arguments]

Runs itself by the Python that `./run statistics` has installed, where its own lacks SciPy and statsmodels; exits
with 77 where there is none.
"""

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

from environments import run_by

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "tools/statistics/report.py"

run_by("statistics", "numpy", "scipy", "statsmodels")

import numpy as np
from scipy import stats

sys.path[:0] = [str(REPORT.parent), str(REPORT.parents[1])]
import analysis
import estimates
import inference
import report
import runs

PROGRAM = sys.argv[1]
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def beats(positive, negative):
    return 1.0 if positive > negative else 0.5 if positive == negative else 0.0


def naive_components(scores, labels):
    """(AUC, V10 of each positive row, V01 of each negative row), by every pair."""
    positives = [score for score, label in zip(scores, labels) if label]
    negatives = [score for score, label in zip(scores, labels) if not label]
    v10 = [sum(beats(p, n) for n in negatives) / len(negatives) for p in positives]
    v01 = [sum(beats(p, n) for p in positives) / len(positives) for n in negatives]
    return sum(v10) / len(v10), v10, v01


def delong(first, second, labels):
    """Covariance of two AUCs on the same rows, which are taken as independent."""
    a, a10, a01 = naive_components(first, labels)
    b, b10, b01 = naive_components(second, labels)
    s10 = sum((x - a) * (y - b) for x, y in zip(a10, b10)) / (len(a10) - 1)
    s01 = sum((x - a) * (y - b) for x, y in zip(a01, b01)) / (len(a01) - 1)
    return s10 / len(a10) + s01 / len(a01)


def obuchowski(first, second, labels, users):
    """Obuchowski (1997), section 3, for two tests on the same units of each cluster."""
    sums = []
    for scores in (first, second):
        auc, v10, v01 = naive_components(scores, labels)
        above, below = {}, {}
        for user, value in zip(users[labels], v10):
            above[user] = above.get(user, 0) + value - auc
        for user, value in zip(users[~labels], v01):
            below[user] = below.get(user, 0) + value - auc
        sums.append((above, below))
    (a, b), (c, d) = sums
    m, n, clusters = labels.sum(), (~labels).sum(), len({*a, *b})
    s10 = len(a) / ((len(a) - 1) * m) * sum(a[u] * c[u] for u in a)
    s01 = len(b) / ((len(b) - 1) * n) * sum(b[u] * d[u] for u in b)
    s11 = clusters / (clusters - 1) * sum(a[u] * d[u] for u in a.keys() & b)
    s11_of_second = clusters / (clusters - 1) * sum(c[u] * b[u] for u in a.keys() & b)
    return s10 / m + s01 / n + (s11 + s11_of_second) / (m * n)


def rows_of_users(generator, n_users, rows, taste=1.0, separation=1.0):
    """(scores, labels, users): a user's scores share a part, and so do the labels."""
    users = np.repeat(np.arange(n_users), rows)
    labels = generator.random(users.size) < generator.beta(0.4, 0.4, n_users)[users]
    shared = taste * generator.normal(size=n_users)[users]
    return separation * labels + shared + generator.normal(size=users.size), labels, users


class Estimates(unittest.TestCase):
    def setUp(self):
        self.generator = np.random.default_rng(3)

    def with_ties(self, n_users=30, rows=6):
        scores, labels, users = rows_of_users(self.generator, n_users, rows)
        other = 0.5 * scores + self.generator.normal(size=scores.size)
        return np.round(scores, 1), np.round(other, 1), labels, users

    def test_a_row_a_user_is_delong(self):
        first, second, labels, _ = self.with_ties()
        users = self.generator.permutation(first.size)
        a, b = (estimates.pooled_auc(scores, labels, users, first.size) for scores in (first, second))
        self.assertAlmostEqual(a.value, naive_components(first, labels)[0], delta=1e-12)
        self.assertAlmostEqual((a.deviations**2).sum() / delong(first, first, labels), 1, delta=1e-9)
        covariance = (a.deviations * b.deviations).sum()
        self.assertAlmostEqual(covariance / delong(first, second, labels), 1, delta=1e-9)
        self.assertAlmostEqual(a.deviations.sum(), 0, delta=1e-12)
        self.assertEqual(a.users, first.size)

    def test_auc_is_mann_whitneys(self):
        scores, _, labels, users = self.with_ties()
        u = stats.mannwhitneyu(scores[labels], scores[~labels]).statistic
        found = estimates.pooled_auc(scores, labels, users, users.size).value
        self.assertAlmostEqual(found, u / labels.sum() / (~labels).sum(), delta=1e-12)

    def test_components_are_added_up_by_user(self):
        for rows in (2, 6):
            first, second, labels, users = self.with_ties(rows=rows)
            if rows == 2:
                labels = users * 0 + np.tile([1, 0], 30) == 1
            a, b = (estimates.pooled_auc(scores, labels, users, 40) for scores in (first, second))
            # The same where every user has both classes; else the factors n / (n - 1) differ a little.
            tolerance = 1e-9 if rows == 2 else 0.03
            for left, right, x, y in [(a, a, first, first), (a, b, first, second)]:
                expected = obuchowski(x, y, labels, users)
                self.assertAlmostEqual(
                    (left.deviations * right.deviations).sum() / expected, 1, delta=tolerance
                )
            self.assertEqual(a.deviations.shape, (40,))
            self.assertNotAlmostEqual((a.deviations**2).sum() / delong(first, first, labels), 1, delta=0.1)

    def test_order_of_rows_does_not_matter(self):
        scores, _, labels, users = self.with_ties()
        order = self.generator.permutation(scores.size)
        for of in (estimates.pooled_auc, estimates.within_user_auc):
            once, again = of(scores, labels, users, 30), of(scores[order], labels[order], users[order], 30)
            self.assertAlmostEqual(once.value, again.value, delta=1e-12)
            np.testing.assert_allclose(once.deviations, again.deviations, atol=1e-12)

    def test_within_user_auc_is_the_users_own(self):
        scores, _, labels, users = self.with_ties()
        sums, rows = 0.0, 0
        for user in range(30):
            own, is_positive = scores[users == user], labels[users == user]
            if is_positive.any() and not is_positive.all():
                sums += naive_components(own, is_positive)[0] * own.size
                rows += own.size
        found = estimates.within_user_auc(scores, labels, users, 30)
        self.assertAlmostEqual(found.value, sums / rows, delta=1e-12)

    def test_a_weighted_mean_of_one_row_a_user_is_the_textbooks(self):
        values, users = self.generator.random(50), np.arange(50)
        found = estimates.weighted_mean(values, np.ones(50), users, 60)
        self.assertAlmostEqual(math.sqrt((found.deviations**2).sum()), stats.sem(values), delta=1e-12)
        self.assertEqual((found.users, found.deviations.size), (50, 60))

    def test_what_has_no_estimate(self):
        scores, users = np.arange(4.0), np.array([0, 0, 1, 1])
        for labels, named in [
            ([1, 1, 1, 1], "negative"),
            ([0, 0, 0, 0], "positive"),
            ([1, 1, 0, 0], "two users"),
        ]:
            with self.assertRaisesRegex(estimates.NoEstimate, named):
                estimates.pooled_auc(scores, np.array(labels) == 1, users, 2)
        with self.assertRaisesRegex(estimates.NoEstimate, "no row"):
            estimates.within_user_auc(scores, np.array([1, 1, 0, 0]) == 1, users, 2)


class Coverage(unittest.TestCase):
    """How often 95 % intervals hold, in 1500 repetitions: one standard error is .0056."""

    def assert_nominal(self, share):
        self.assertGreater(share, 0.93)
        self.assertLess(share, 0.97)

    def test_pooled_auc_where_a_users_rows_depend_on_each_other(self):
        generator, repetitions = np.random.default_rng(1), 1500
        truth = stats.norm.cdf(0.5)  # of users apart: a difference of 1 with a variance of 4
        hits = {"users": 0, "rows": 0}
        for _ in range(repetitions):
            scores, labels, users = rows_of_users(generator, 120, 10)
            for name, of in (("users", users), ("rows", np.arange(users.size))):
                found = estimates.pooled_auc(scores, labels, of, users.size)
                interval = inference.over_users(np.array([found.value]), found.deviations[None])
                hits[name] += interval.low <= truth <= interval.high
        self.assert_nominal(hits["users"] / repetitions)
        self.assertLess(hits["rows"] / repetitions, 0.8)  # plain DeLong

    def test_paired_difference_is_the_cluster_bootstraps(self):
        generator = np.random.default_rng(2)
        first, labels, users = rows_of_users(generator, 200, 6)
        second = (
            0.7 * first + 0.5 * generator.normal(size=200)[users] + 0.5 * generator.normal(size=users.size)
        )
        a, b = (estimates.pooled_auc(scores, labels, users, 200) for scores in (first, second))
        found = inference.over_users(np.array([a.value - b.value]), (a.deviations - b.deviations)[None])
        drawn = []
        by_user = users.reshape(200, 6)[:, 0] * 6
        for _ in range(1500):
            rows = (by_user[generator.integers(200, size=200)][:, None] + np.arange(6)).ravel()
            u = [stats.rankdata(scores[rows])[labels[rows]].sum() for scores in (first, second)]
            m = labels[rows].sum()
            drawn.append((u[0] - u[1]) / m / (rows.size - m))
        self.assertAlmostEqual(found.error / np.std(drawn), 1, delta=0.06)
        unpaired = math.sqrt((a.deviations**2).sum() + (b.deviations**2).sum())
        self.assertGreater(unpaired, 1.3 * found.error)

    def test_mean_over_seeds_and_users(self):
        """Whichever of seeds, users and their interaction varies most, where the bootstrap of both does not hold."""
        generator, repetitions, users = np.random.default_rng(3), 1500, 150
        for n_seeds, scale in [
            (3, (1, 0, 0)),
            (3, (0, 0, 1)),
            (5, (0.3, 1, 1)),
            (5, (0, 1, 0)),
            (5, (1, 0, 0)),
        ]:
            with self.subTest(seeds=n_seeds, scale=scale):
                hits = {"analysis": 0, "bootstrap": 0}
                for k in range(repetitions):
                    drawn = (
                        scale[0] * generator.normal(size=(n_seeds, 1))
                        + scale[1] * generator.normal(size=(1, users)) * math.sqrt(users)
                        + scale[2] * generator.normal(size=(n_seeds, users)) * math.sqrt(users)
                    )
                    values = drawn.mean(axis=1)
                    deviations = (drawn - values[:, None]) / math.sqrt(users * (users - 1))
                    interval = inference.over_seeds_and_users(values, deviations)
                    hits["analysis"] += interval.low <= 0 <= interval.high
                    if n_seeds == 3 and k < 200:
                        means = inference.hierarchical_bootstrap(values, deviations, 200, generator)
                        low, high = np.quantile(means, [0.025, 0.975])
                        hits["bootstrap"] += low <= 0 <= high
                if scale == (0, 0, 1):  # the users' interval, which is the least, holds there too
                    self.assertGreater(hits["analysis"] / repetitions, 0.95)
                else:
                    self.assert_nominal(hits["analysis"] / repetitions)
                if n_seeds == 3:  # too narrow for the seeds' variance, too wide for the interaction's
                    self.assertNotAlmostEqual(hits["bootstrap"] / 200, 0.95, delta=0.02)


class Inference(unittest.TestCase):
    def test_bootstrap_has_the_variance_of_its_draws(self):
        generator = np.random.default_rng(4)
        drawn = (
            generator.normal(size=(4, 1)) * 0.2
            + generator.normal(size=(1, 300))
            + 0.5 * generator.normal(size=(4, 300))
        )
        values = drawn.mean(axis=1)
        deviations = (drawn - values[:, None]) / math.sqrt(300 * 299)
        means = inference.hierarchical_bootstrap(values, deviations, 4000, generator)
        self.assertAlmostEqual(means.mean(), values.mean(), delta=0.01)
        exact = np.array(
            [
                drawn[generator.integers(4, size=4)][:, generator.integers(300, size=300)].mean()
                for _ in range(4000)
            ]
        )
        self.assertAlmostEqual(means.std() / exact.std(), 1, delta=0.05)

    def test_without_users_variance_it_is_the_seeds_t_interval(self):
        values = np.array([0.01, 0.03, 0.02])
        found = inference.over_seeds_and_users(values, np.zeros((3, 5)))
        low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
        self.assertAlmostEqual(found.low, low, delta=1e-12)
        self.assertAlmostEqual(found.high, high, delta=1e-12)
        same = inference.over_seeds_and_users(np.array([0.01, 0.01]), np.zeros((2, 5)))
        self.assertEqual((same.low, same.high), (0.01, 0.01))

    def test_seeds_that_agree_by_chance_do_not_hide_the_users(self):
        drawn = np.random.default_rng(6).normal(size=(3, 200))
        values = np.array([0.1, 0.1001, 0.0999])
        deviations = (drawn - drawn.mean(axis=1, keepdims=True)) / 200
        found, users = (
            of(values, deviations) for of in (inference.over_seeds_and_users, inference.over_users)
        )
        self.assertEqual(found, users)
        self.assertGreater(users.error, 10 * stats.sem(values))

    def test_paired_t_is_one_sided(self):
        first, second = np.array([0.81, 0.80, 0.83, 0.79]), np.array([0.80, 0.80, 0.81, 0.78])
        expected = stats.ttest_rel(first, second, alternative="greater").pvalue
        self.assertAlmostEqual(inference.paired_t(first - second), expected, delta=1e-12)
        self.assertLess(expected, 0.05)
        self.assertGreater(inference.paired_t(second - first), 0.95)
        self.assertIsNone(inference.paired_t(np.array([0.1])))
        self.assertEqual(inference.paired_t(np.zeros(3)), 1)

    def test_smallest_detectable_is_detected_in_80_of_100(self):
        generator = np.random.default_rng(5)
        differences = np.array([0.001, -0.002, 0.003, 0.002, -0.001])
        for comparisons in (1, 7):
            found = inference.smallest_detectable(differences, comparisons)
            drawn = found + differences.std(ddof=1) * generator.normal(size=(5, 20000))
            p = stats.ttest_1samp(drawn, 0, alternative="greater").pvalue
            self.assertAlmostEqual((p < 0.05 / comparisons).mean(), 0.8, delta=0.012)
        self.assertIsNone(inference.smallest_detectable(differences[:1], 1))
        self.assertIsNone(inference.smallest_detectable(np.zeros(3), 1))

    def test_critical_difference_is_demsars(self):
        """Of 14 blocks and 4 methods 2.569 sqrt(4 5 / (6 14)); ranks by counting who is better, ties half."""
        values = np.round(np.random.default_rng(8).normal(size=(14, 4)) + [0, 0.5, 0, 1], 1)
        ranks, difference, p = inference.critical_difference(values)
        self.assertAlmostEqual(difference, 2.569 * math.sqrt(20 / 84), delta=1e-3)
        for method in range(4):
            above = [sum(beats(row[k], row[method]) for k in range(4) if k != method) for row in values]
            self.assertAlmostEqual(ranks[method], 1 + sum(above) / 14, delta=1e-12)
        self.assertEqual(p, stats.friedmanchisquare(*values.T).pvalue)
        self.assertEqual(inference.critical_difference(np.ones((5, 3)))[2], 1)

    def test_adjusted_p_values(self):
        p = [0.01, 0.04, 0.03, 0.8]
        order = sorted(range(4), key=p.__getitem__)
        holm, rate, most, least = [0.0] * 4, [0.0] * 4, 0.0, 1.0
        for k, at in enumerate(order):
            most = holm[at] = max(most, min(1.0, (4 - k) * p[at]))
        for k, at in reversed(list(enumerate(order))):
            least = rate[at] = min(least, p[at] * 4 / (k + 1))
        np.testing.assert_allclose(inference.adjusted(p, "holm"), holm, atol=1e-12)
        np.testing.assert_allclose(inference.adjusted(p, "fdr_bh"), rate, atol=1e-12)
        self.assertEqual(inference.adjusted([], "holm"), [])


STUB = """#!{python}
import pathlib, shutil, sys, time
command, run, _, path = sys.argv[1:]
assert command == "eval"
run = pathlib.Path(run)
with open(run.parent / "asked", "a") as log:
    log.write(run.name + "\\n")
if (run / "fault").exists():
    sys.exit("sllmr: error: " + (run / "fault").read_text())
if (run / "slow").exists():
    open(path, "w").write("half a line")
    time.sleep(60)
shutil.copy(run / "answer.tsv", path)
"""


class Case(unittest.TestCase):
    def setUp(self):
        self.maxDiff = None
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.addCleanup(shutil.rmtree, self.folder)
        self.stub = self.folder / "stub"
        self.stub.write_text(STUB.format(python=sys.executable))
        self.stub.chmod(0o755)
        self.out = self.folder / "out"

    def words(self, *words, program=None):
        return [*map(str, words), f"--program={program or self.stub}"]

    def statistics(self, *words, program=None):
        """(exit code, stdout, stderr) of a command, run in this process."""
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as error:
            code = report.main(self.words(*words, program=program))
        return code, out.getvalue(), error.getvalue()

    def write_folder(self, out=None, gains=None, seeds=(1, 2, 3), header="label\tlogit\tcold", users=60):
        """Runs of methods whose positive rows score higher by their gain."""
        out = out or self.out
        gains = gains or {"none": 0.5, "good": 1.5, "same": 0.5}
        cells, told = [], []
        for row, gain in gains.items():
            for seed in seeds:
                run = out / f"{row}_{seed}"
                run.mkdir(parents=True)
                draw = random.Random(f"{row} {seed}")
                shared = random.Random(f"rows {seed}")
                lines, labels, logits, cold = [f"user_id\titem_id\t{header}"], [], [], []
                for user in range(users):
                    for label in (1, 0):
                        labels.append(label == 1)
                        logits.append(round(shared.gauss(0, 1) + 0.3 * draw.gauss(0, 1) + gain * label, 6))
                        cold.append(user % 3 == 0)
                        values = [f"u{user}", f"i{shared.randrange(99)}", str(label), str(logits[-1])]
                        lines.append("\t".join(values + ([str(int(cold[-1]))] if "cold" in header else [])))
                (run / "answer.tsv").write_text("\n".join(lines) + "\n")
                (run / "model.safetensors").write_text(f"model of {row} {seed}")
                (run / "config.toml").write_text(f"method = '{row}'\n")
                for part in ("all", "cold"):
                    kept = [k for k in range(len(labels)) if part == "all" or cold[k]]
                    auc = naive_components([logits[k] for k in kept], [labels[k] for k in kept])[0]
                    cells.append(
                        {
                            "row": row,
                            "column": "made",
                            "seed": seed,
                            "metric": "auc",
                            "slice": part,
                            "value": auc,
                        }
                    )
                told.append({"row": row, "column": "made", "seed": seed, "folder": f"nowhere/{run.name}"})
        results = {
            "schema": 1,
            "complete": True,
            "rows": [*gains],
            "columns": ["made"],
            "cells": cells,
            "runs": told,
        }
        (out / "results.json").write_text(json.dumps(results))
        return out

    def asked(self):
        path = self.out / "asked"
        return path.read_text().split() if path.exists() else []

    def rows(self, text):
        """Cells of the lines of methods."""
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        return {
            line.split(" | ")[0][2:]: line[2:-2].split(" | ")
            for line in lines
            if not line.startswith("| ---")
        }


class Verdicts(unittest.TestCase):
    """What the page concludes: as many seeds, the test and the interval."""

    def comparison(self, differences, holm):
        differences = np.array(differences)
        found = analysis.Comparison(
            [*range(differences.size)], differences, np.zeros((differences.size, 0)), None
        )
        found.holm = holm
        return found

    def test_the_two_sides_are_alike(self):
        for differences, holm, expected in [
            ([0.010, 0.011, 0.012], 0.04, "above"),
            ([-0.010, -0.011, -0.012], 0.04, "below"),
            ([0.010, 0.011, 0.012], 0.05, ""),
            ([-0.010, -0.011, -0.012], 0.05, ""),
            ([-0.010, -0.011, -0.012], None, ""),
            ([-0.010, 0.011, -0.012], 0.01, ""),  # the interval holds 0
            ([0.01], 0.01, ""),
            ([0.01, 0.01], 0.01, ""),
            ([0.8 - 0.79, 0.7 - 0.69, 0.3 - 0.29], 0.01, ""),  # but for rounding alike
        ]:
            with self.subTest(differences=differences, holm=holm):
                self.assertEqual(self.comparison(differences, holm).verdict(), expected)

    def test_two_sided_p(self):
        differences = np.array([0.001, 0.003, 0.002, 0.0005])
        one, two = inference.paired_t(differences), inference.paired_t(differences, "two-sided")
        self.assertAlmostEqual(two, stats.ttest_1samp(differences, 0).pvalue, delta=1e-12)
        self.assertAlmostEqual(two, 2 * one, delta=1e-12)
        self.assertAlmostEqual(inference.paired_t(-differences, "two-sided"), two, delta=1e-12)
        for alike in ([0.0, 0.0], [0.8 - 0.79, 0.7 - 0.69, 0.3 - 0.29]):
            self.assertEqual(inference.paired_t(np.array(alike), "two-sided"), 1)
        self.assertGreater(
            inference.smallest_detectable(differences, 3, "two-sided"),
            inference.smallest_detectable(differences, 3),
        )


class Command(Case):
    def test_methods_beside_the_baseline(self):
        self.write_folder()
        told = self.folder / "told.json"
        code, out, error = self.statistics(self.out, f"--json={told}")
        self.assertEqual((code, error), (0, ""))
        rows = self.rows(out)
        self.assertEqual([*rows], ["method", "none", "good", "same"])
        self.assertEqual(rows["none"][4:], ["-"] * 6)
        self.assertIn("## out, made: all (60 users)", out)
        self.assertIn("pooled AUC", out)
        figures = json.loads(told.read_text())
        (part,) = figures["parts"]
        methods = {method["row"]: method for method in part["methods"]}
        cells = json.loads((self.out / "results.json").read_text())["cells"]
        for row, method in methods.items():
            expected = [c["value"] for c in cells if c["row"] == row and c["slice"] == "all"]
            np.testing.assert_allclose(method["values"], expected, atol=1e-12)
        good, same = (methods[row]["comparison"] for row in ("good", "same"))
        differences = np.subtract(methods["good"]["values"], methods["none"]["values"])
        np.testing.assert_allclose(good["differences"], differences)
        self.assertAlmostEqual(good["p"], stats.ttest_1samp(differences, 0, alternative="greater").pvalue)
        self.assertAlmostEqual(good["holm"], min(1, 2 * good["p"]))
        self.assertLess(good["p"], same["p"])
        self.assertGreater(good["interval"]["low"], 0)
        self.assertLess(same["interval"]["low"], 0)
        self.assertEqual(figures["family"], {"slices": ["all"], "comparisons": 2})
        self.assertEqual(
            rows["good"][5], f"{good['interval']['low']:+.4f} to {good['interval']['high']:+.4f}"
        )
        self.assertEqual(rows["same"][7], f"{same['holm']:.4f}")
        self.assertEqual(rows["good"][7], "<.0001")

    def test_predictions_are_kept_by_checkpoint(self):
        self.write_folder()
        first = self.statistics(self.out)
        self.assertEqual(len(self.asked()), 9)
        self.assertEqual(self.statistics(self.out), first)
        self.assertEqual(len(self.asked()), 9)
        (self.out / "good_2/best.safetensors").write_text("another model")
        self.assertEqual(self.statistics(self.out), first)
        self.assertEqual(self.asked()[9:], ["good_2"])
        elsewhere = self.folder / "kept/here"
        before = sorted(self.out.rglob("*"))
        self.assertEqual(self.statistics(self.out, f"--predictions={elsewhere}"), first)
        self.assertEqual(sorted(self.out.rglob("*")), before)
        self.assertFalse(elsewhere.exists())  # those beside the runs do
        for path in self.out.rglob("predictions.*"):
            path.unlink()
        before = sorted(self.out.rglob("*"))
        self.assertEqual(self.statistics(self.out, f"--predictions={elsewhere}"), first)
        self.assertEqual((sorted(self.out.rglob("*")), len([*elsewhere.iterdir()])), (before, 9))

    def test_predictions_that_do_not_mark_the_slice_are_written_again(self):
        self.write_folder()
        marked = {path: path.read_text() for path in self.out.glob("*/answer.tsv")}
        for path, text in marked.items():
            path.write_text("".join(line.rpartition("\t")[0] + "\n" for line in text.splitlines()))
        self.assertEqual(self.statistics(self.out)[0], 0)
        self.assertIn("mark rows of all (", self.statistics(self.out, "--family=cold")[2])
        for path, text in marked.items():
            path.write_text(text)
        code, out, _ = self.statistics(self.out, "--family=cold")
        self.assertEqual(code, 0)
        self.assertIn("cold (20 users)", out)

    def test_slices_and_folders_are_one_family(self):
        self.write_folder()
        other = self.write_folder(self.folder / "other", gains={"none": 0.5, "good": 0.8})
        code, out, error = self.statistics(self.out, other, "--family=all,cold")
        self.assertEqual((code, error), (0, ""))
        titles = [line for line in out.splitlines() if line.startswith("##")]
        expected = [
            "out, made: all (60",
            "out, made: cold (20",
            "other, made: all (60",
            "other, made: cold (20",
        ]
        self.assertEqual(titles, [f"## {title} users)" for title in expected])
        self.assertIn("comparisons above, 6 in all", out)

    def test_rows_of_several_backbones_have_their_own_baselines(self):
        gains = {"A None": 0.5, "A KD": 1.5, "A deep None": 0.8, "A deep KD": 0.9, "B KD": 0.4, "A x": 0.1}
        self.write_folder(gains=gains)
        told = self.folder / "told.json"
        self.assertEqual(self.statistics(self.out, f"--json={told}")[0], 0)
        methods = {method["row"]: method for method in json.loads(told.read_text())["parts"][0]["methods"]}
        compared = {row: method["comparison"] for row, method in methods.items() if method["comparison"]}
        self.assertEqual([*compared], ["A KD", "A deep KD", "A x"])
        for row, baseline in (("A KD", "A None"), ("A deep KD", "A deep None"), ("A x", "A None")):
            differences = np.subtract(methods[row]["values"], methods[baseline]["values"])
            np.testing.assert_allclose(compared[row]["differences"], differences)
        _, out, _ = self.statistics(self.out, "--rows=kd")
        self.assertEqual([*self.rows(out)][1:], ["A None", "A KD", "A deep None", "A deep KD"])
        self.assertIn("comparisons above, 2 in all", out)

    def test_one_seed_has_no_test(self):
        self.write_folder(seeds=[4])
        code, out, error = self.statistics(self.out)
        self.assertEqual((code, error), (0, ""))
        good = self.rows(out)["good"]
        self.assertRegex(good[5], r"^\+0\.\d+ to \+0\.\d+ \(users alone\)$")
        self.assertEqual(good[6:], ["-"] * 4)
        self.assertIn("One seed: intervals are over users alone", out)
        self.assertNotIn("t test", out)

    def test_seeds_that_only_one_has_are_not_compared(self):
        self.write_folder()
        path = self.out / "results.json"
        results = json.loads(path.read_text())
        results["runs"] = [run for run in results["runs"] if (run["row"], run["seed"]) != ("good", 2)]
        results["complete"] = False
        path.write_text(json.dumps(results))
        code, out, _ = self.statistics(self.out)
        self.assertEqual(code, 0)
        self.assertEqual(self.rows(out)["good"][1], "2")
        self.assertNotIn("good_2", self.asked())
        self.assertIn("is not complete: 8 runs so far", out)
        code, out, _ = self.statistics(self.out, "--baseline=good")
        self.assertTrue(self.rows(out)["same"][4].endswith("(2 seeds)"), out)

    def test_ctrl_c_leaves_nothing_half_written(self):
        self.write_folder()
        (self.out / "good_1/slow").touch()
        child = subprocess.Popen(
            [sys.executable, "-B", REPORT, *self.words(self.out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(lambda: (child.kill(), child.wait(), child.stdout.close(), child.stderr.close()))
        end = time.monotonic() + 30
        while "good_1" not in self.asked():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        stopped = time.monotonic()
        child.send_signal(signal.SIGINT)
        out, error = child.communicate(timeout=30)
        self.assertLess(time.monotonic() - stopped, 2)  # one, and a busy machine
        self.assertEqual((child.returncode, out), (130, ""))
        self.assertEqual(error, "statistics: stopped; predictions so far are kept\n")
        left = sorted(path.name for path in (self.out / "good_1").iterdir())
        self.assertEqual(left, ["answer.tsv", "config.toml", "model.safetensors", "slow"])

    def test_runs_of_the_program(self):
        draw = random.Random(7)
        with open(self.folder / "small.inter", "w") as file:
            file.write("user_id:token\titem_id:token\ttimestamp:float\n")
            for user in range(80):
                taken = dict.fromkeys((user * 7 + draw.randrange(12)) % 60 for _ in range(9))
                file.writelines(f"u{user}\ti{item}\t{time}\n" for time, item in enumerate(taken))
        (self.folder / "small.item").write_text(
            "item_id:token\ttitle:token_seq\n" + "".join(f"i{k}\tword{k % 7}\n" for k in range(60))
        )
        for protocol, metrics in (("ctr", ["auc", "gauc"]), ("full", ["auc", "ndcg@10", "recall@20"])):
            recipe, out = self.folder / f"{protocol}.toml", self.folder / protocol
            recipe.write_text(
                f'device = "cpu"\nthreads = 1\n[data]\npath = "{self.folder / "small"}"\n[model]\nwidth = 32\n'
                f'[train]\nlr = 0.08\nepochs = 4\n[eval]\nprotocol = "{protocol}"\n'
            )
            words = [
                PROGRAM,
                "compare",
                str(recipe),
                "--methods",
                "none,global",
                "--seeds",
                "1,2",
                "--out",
                str(out),
            ]
            subprocess.run(words, check=True, capture_output=True)
            for metric in metrics:  # which are the program's own, or it is an error
                code, text, error = self.statistics(out, f"--metric={metric}", program=PROGRAM)
                self.assertEqual((code, error), (0, ""))
                self.assertEqual([*self.rows(text)], ["method", "none", "global"])
        code, _, error = self.statistics(self.folder / "ctr", self.folder / "full", program=PROGRAM)
        self.assertEqual((code, error.count("\n")), (1, 1))
        self.assertIn("one protocol", error)


class Faults(Case):
    def assert_error(self, named, *words):
        code, out, error = self.statistics(*words)
        self.assertEqual((code, out, error.count("\n")), (1, "", 1), error)
        self.assertIn(named, error)
        self.assertTrue(error.startswith("statistics: error: "), error)

    def test_of_the_command_line(self):
        self.write_folder()
        foreign = self.folder / "notes.json"
        foreign.write_text('{"mine": 1}')
        os.mkfifo(self.folder / "pipe")
        for words, named in [
            ([], "name the --out folder"),
            ([self.out, "--json", self.folder / "pipe"], "this is no file"),
            ([self.out, self.out], "twice"),
            ([self.folder], "results.json: cannot be read"),
            ([self.out, "--baseline=nope"], "--baseline takes one of: none, good, same"),
            ([self.out, "--rows=good,nope"], "--rows nope"),
            ([self.out, "--rows=none"], "nothing to compare"),
            ([self.out, "--family=all,tail"], "--family tail: the predictions mark rows of all, cold"),
            ([self.out, "--family=all,all"], "once"),
            ([self.out, "--metric=ndcg@10"], "give auc, gauc"),
            ([self.out, "--metric=gauc"], "its test has no gauc"),
            ([self.out, f"--json={foreign}"], "something else made this file"),
            ([self.out, f"--json={self.folder}/no/x.json"], "there is no folder"),
            ([self.out, "--seeds=1"], "--seeds"),
        ]:
            with self.subTest(words=words):
                self.assert_error(named, *words)
        self.assertEqual(foreign.read_text(), '{"mine": 1}')

    def test_of_results(self):
        self.out.mkdir()
        path = self.out / "results.json"
        whole = {"schema": 1, "complete": False, "rows": ["none"], "columns": ["x"], "cells": [], "runs": []}
        for text, named in [
            ("{", "not what compare"),
            ("[]", "not what compare"),
            ('{"schema": 1}', "not what compare"),
            (json.dumps(whole | {"schema": 2}), "schema 2"),
            (json.dumps(whole), "no run is finished yet"),
            (json.dumps(whole | {"rows": ["none", "none"]}), "rows: none stands there twice"),
            (json.dumps(whole | {"rows": [3]}), "rows[0] is not a text"),
            (json.dumps(whole | {"title": 10**400}), "too large"),
            ("[" * 9000, "nested too deep"),
        ]:
            with self.subTest(text=text):
                path.write_text(text)
                self.assert_error(named, self.out)

    def test_of_runs(self):
        self.write_folder()
        run = self.out / "good_2"
        (run / "fault").write_text("the data are not those of the checkpoint")
        self.assert_error("good, seed 2: the data are not those of the checkpoint", self.out)
        (run / "fault").unlink()
        answer = (run / "answer.tsv").read_text()
        lines = answer.splitlines(keepends=True)
        another_item = lines[1].replace("\ti", "\tj")
        for text, named in [
            ("nothing\n", ":1: no header"),
            (answer[:-3], "is torn"),
            (answer.replace(lines[4], "u1\ti2\t1\n"), ":5: 3 columns, not 5"),
            (answer.replace(lines[4], "u1\ti2\t1\tx\t0\n"), ":5: a value is no number"),
            (answer.replace(lines[4], "u1\ti2\t1\tnan\t0\n"), ":5: a value is not finite"),
            (answer.replace(lines[1], another_item), "not paired"),
            ((self.out / "none_2/answer.tsv").read_text(), "but the run told"),
        ]:
            with self.subTest(named=named):
                (run / "answer.tsv").write_text(text)
                for kept in run.glob("predictions.*"):
                    kept.unlink()
                self.assert_error(named, self.out)
        (run / "config.toml").rename(run / "elsewhere")
        self.assert_error("config.toml: cannot be read (No such file or directory)", self.out)
        (run / "model.safetensors").unlink()
        self.assert_error("good_2: no checkpoint of good, seed 2", self.out)

    def test_a_program_that_is_not_there(self):
        self.write_folder()
        code, _, error = self.statistics(self.out, program=self.folder / "none")
        self.assertEqual((code, error.count("\n")), (1, 1))
        self.assertIn("cannot be run", error)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
