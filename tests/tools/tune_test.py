#!/usr/bin/env python3
"""./run tune: equal budgets, shared studies, what is stopped goes on, validation decides, one error a fault.

usage: tune_test.py PROGRAM [unittest's arguments]

Runs itself by the Python that `./run tune` has installed, where its own lacks Optuna and Matplotlib; exits
with 77 where there is none.
"""

import csv
import io
import json
import math
import os
import random
import shutil
import signal
import statistics
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
TUNE = ROOT / "tools/tune/tune.py"

run_by("tune", "optuna", "matplotlib")

sys.path[:0] = [str(TUNE.parent), str(TUNE.parents[1])]
import program as sllmr
import results
import space
import study
import tune

PROGRAM = sys.argv[1]
# Many small files, each synced: in memory where there is such a folder.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def write_data(folder):
    """Users who like one word of twelve, and items that have two."""
    draw = random.Random(7)
    with open(folder / "small.inter", "w") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for user in range(150):
            taste = [item for item in range(100) if user % 12 in (item % 12, item * 5 % 12)]
            taken = [draw.choice(taste) if draw.random() < 0.7 else draw.randrange(100) for _ in range(8)]
            file.writelines(f"u{user}\ti{item}\t{time}\n" for time, item in enumerate(dict.fromkeys(taken)))
    with open(folder / "small.item", "w") as file:
        file.write("item_id:token\ttitle:token_seq\n")
        file.writelines(f"i{item}\tword{item % 12} word{item * 5 % 12}\n" for item in range(100))


def worst_quarter(values):
    """Where it ends, interpolated linearly."""
    return statistics.quantiles(values, n=4, method="inclusive")[0]


def read_table(path):
    with open(path) as file:
        return list(csv.DictReader(file, delimiter="\t"))


class Case(unittest.TestCase):
    def setUp(self):
        self.maxDiff = None
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.addCleanup(shutil.rmtree, self.folder)
        write_data(self.folder)
        self.recipe = self.folder / "small.toml"
        self.recipe.write_text(
            f'device = "cpu"\nthreads = 1\n[data]\npath = "{self.folder / "small"}"\n[model]\nwidth = 32\n'
            "[train]\nlr = 0.08\nl2 = 0.02\nepochs = 20\ncheckpoint_every = 100\n[llm]\ncandidates = 12\n"
        )
        self.out = self.folder / "out"

    def command(self, *words):
        return [str(self.recipe), f"--out={self.out}", f"--program={PROGRAM}", *words]

    def tune(self, *words):
        """(exit code, stdout, stderr) of a command, run in this process."""
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as error:
            code = tune.main(self.command(*words))
        return code, out.getvalue(), error.getvalue()

    def start(self, *words):
        child = subprocess.Popen(
            [sys.executable, "-B", TUNE, *self.command(*words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(lambda: (child.kill(), child.wait(), child.stdout.close(), child.stderr.close()))
        return child

    def space(self, text):
        path = self.folder / "space.toml"
        path.write_text(f"[space]\n{text}\n")
        return f"--space={path}"

    def trials(self):
        return read_table(self.out / "trials.tsv")


class EqualBudget(Case):
    def test_a_key_that_one_method_has_no_use_for_is_the_others(self):
        code, _, error = self.tune(
            "--methods=none,global", "--trials=1", "--seeds=4", "llm.noise=0.25", "train.epochs=2"
        )
        self.assertEqual((code, error), (0, ""))
        tuned = {method: (self.out / f"{method}.toml").read_text() for method in ("none", "global")}
        self.assertEqual({method: "noise = 0.25\n" in text for method, text in tuned.items()}, {"none": False, "global": True})

    def test_by_validation_alone(self):
        methods = ["none", "global"]
        words = [
            "--methods=none,global",
            "--trials=7",
            "--seeds=4,5",
            self.space(
                '"train.lr" = {low = 0.002, high = 0.2, log = true}\n"train.l2" = {around = 2}\n'
                '"llm.lambda" = {low = 0.1, high = 1.0, log = true, methods = ["gated"]}'
            ),
        ]
        code, table, error = self.tune(*words)
        self.assertEqual((code, error), (0, ""))  # no progress where nobody watches
        trials = self.trials()
        by_method = {method: [row for row in trials if row["method"] == method] for method in methods}
        self.assertEqual({method: len(rows) for method, rows in by_method.items()}, {"none": 7, "global": 7})

        # The first guess is the recipe's; random ones are the same for every method in what they share.
        first = by_method["global"][0]
        self.assertEqual(
            [first[key] for key in ("train.lr", "train.l2", "llm.lambda")], ["0.08", "0.02", "0.2"]
        )
        for key in ("train.lr", "train.l2"):
            self.assertEqual(
                [row[key] for row in by_method["none"][:4]], [row[key] for row in by_method["global"][:4]]
            )
        self.assertEqual({row["llm.lambda"] for row in by_method["none"]}, {""})
        self.assertGreater(len({row["train.lr"] for row in by_method["none"]}), 6)

        tuning, pruned = json.loads((self.out / "tuning.json").read_text()), 0
        for method in methods:
            complete, curve = {}, []
            for row in by_method[method]:
                run = self.out / row["run"]
                events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
                validated = {
                    event["epoch"]: event["auc"]["all"] for event in events if event["event"] == "validation"
                }
                self.assertEqual(min(validated), 2)  # a tenth of the epochs, as the recipe says nothing
                # The rule, once more: after half of the epochs, the best so far in an epoch's worst quarter.
                steps = sorted(epoch for epoch in validated if epoch >= 10) if len(complete) >= 4 else []
                best = {at: max(v for k, v in validated.items() if k <= at) for at in validated}
                fails = [at for at in steps if best[at] < worst_quarter(v[at] for v in complete.values())]
                self.assertEqual(row["state"], "pruned" if fails else "complete", row)
                self.assertEqual(float(row["figure"]), best[fails[0] if fails else 20])
                pruned += bool(fails)
                if not fails:
                    complete[int(row["number"])] = validated
                curve.append(max(max(values.values()) for values in complete.values()))
            chosen = max(complete, key=lambda number: max(complete[number].values()))
            told = tuning["methods"][method]
            self.assertEqual((told["trial"], told["validation"]), (chosen, curve[-1]))
            self.assertEqual(told["trials"]["counted"], 7)
            self.assertEqual([float(row[method]) for row in read_table(self.out / "curve.tsv")], curve)
            self.assertIn(f">{method}<", (self.out / "curve.svg").read_text())

            # The recipe trains to the figure that it was chosen for, and the test is of new runs of it.
            again = self.folder / f"again_{method}"
            subprocess.run(
                [PROGRAM, "train", self.out / f"{method}.toml", f"run_dir={again}"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            summary = json.loads((again / "summary.json").read_text())
            self.assertEqual((summary["method"], summary["validation"]["best"]), (method, curve[-1]))
            for seed in (4, 5):
                run = self.out / "test" / f"{method}_{chosen:04}" / f"{method}_{seed}"
                self.assertEqual(
                    told["test"]["auc"]["all"][str(seed)],
                    json.loads((run / "summary.json").read_text())["test"]["auc"]["all"],
                )
            mean = statistics.fmean(told["test"]["auc"]["all"].values())
            self.assertIn(f"| {method} | 7 | ", table)
            self.assertIn(f"| {mean:.4f} ± ", table)
            self.assertEqual(told["commit"], summary["commit"])
            self.assertEqual(told["inputs"]["data_hash"], summary["data_hash"])
        self.assertGreater(pruned, 0)

        # Once more: nothing is left to do, and the results are the same. With more trials it goes on.
        names = ["trials.tsv", "tuning.json", "curve.tsv", "curve.svg", "none.toml"]
        files = {name: (self.out / name).read_bytes() for name in names}
        self.assertEqual(self.tune(*words), (0, table, ""))
        self.assertEqual({name: (self.out / name).read_bytes() for name in names}, files)
        self.assertEqual(self.tune(*words, "--trials=8", "--keep=best")[0], 0)
        self.assertEqual([row["method"] for row in self.trials()], ["none"] * 8 + ["global"] * 8)
        self.assertEqual(self.trials()[0]["figure"], trials[0]["figure"])
        self.assertEqual(sum(1 for row in self.trials() if row["run"]), 2)
        self.assertEqual(len(list(self.out.glob("trials/*/*/config.toml"))), 2)

        # What is stored was another experiment's.
        for change, named in [
            (["train.epochs=21"], "train.epochs was 20, is 21"),
            (["--sampler-seed=2"], "sampler seed"),
            (["--pruner=none"], "pruner name was quartile, is none"),
            (["train.l2=0.02"], "space of train.l2"),
        ]:
            code, _, error = self.tune(*words, "--trials=8", "--methods=none", *change)
            self.assertEqual(code, 1)
            self.assertIn(named, error)
        self.assertIn("8 trials of none already", self.tune(*words)[2])
        with open(self.folder / "small.inter", "a") as file:
            file.write("u1\ti1\t99\n")
        code, _, error = self.tune(
            *words, "--trials=8", "--methods=hinge"
        )  # new here, but not over these data
        self.assertEqual((code, error.count("\n")), (1, 1))
        self.assertIn("data_hash", error)


class Processes(Case):
    def test_share_a_study(self):
        words = ["--methods=none,global", "--trials=3", "--seeds=1"]
        children = [self.start(*words) for _ in range(2)]
        told = [child.communicate() for child in children]
        self.assertEqual([child.returncode for child in children], [0, 0], told)
        self.assertEqual(
            [(row["method"], row["number"]) for row in self.trials()],
            [(method, str(k)) for method in ("none", "global") for k in range(3)],
        )
        self.assertTrue(any("| global | 3 | " in out for out, _ in told), told)
        self.assertTrue((self.out / "tuning.json").exists())

    def wait_for_epochs(self, least):
        log, end = self.out / "trials/none/0000/metrics.jsonl", time.monotonic() + 20
        while not log.exists() or log.read_text().count("\n") < least:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def running(self):
        return [
            path
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if str(self.out).encode() in self.read(path) and b"\0train\0" in self.read(path)
        ]

    @staticmethod
    def read(path):
        try:
            return path.read_bytes()
        except OSError:  # it has ended
            return b""

    def test_stopped_and_killed_trials_go_on(self):
        words = [
            "--methods=none",
            "--trials=1",
            "--seeds=1",
            "train.epochs=600",  # a busy machine must not be through before it is stopped
            "train.eval_every=10",
            "train.checkpoint_every=1",
        ]
        child = self.start(*words)
        self.wait_for_epochs(20)
        self.assertEqual(len(self.running()), 1)
        stopped = time.monotonic()
        child.send_signal(signal.SIGINT)
        self.assertIn("trial 0 of none will go on", child.communicate()[1])
        self.assertEqual(child.returncode, 130)
        self.assertLess(time.monotonic() - stopped, 2)  # one, and a busy machine
        self.assertEqual(self.running(), [])
        log = self.out / "trials/none/0000/metrics.jsonl"
        before = log.read_text().splitlines()

        child = self.start(*words)
        self.wait_for_epochs(len(before) + 1)
        child.kill()
        child.wait()
        end = time.monotonic() + 10
        while self.running():  # it is told by the kernel
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        self.assertEqual(
            log.read_text().splitlines()[: len(before) - 1], before[:-1]
        )  # went on, did not begin anew

        code, _, error = self.tune(*words)
        self.assertEqual((code, error), (0, ""))
        (row,) = self.trials()
        self.assertEqual((row["number"], row["state"]), ("0", "complete"))
        self.assertEqual(log.read_text().splitlines()[: len(before) - 1], before[:-1])
        summary = json.loads((log.parent / "summary.json").read_text())
        self.assertEqual(float(row["figure"]), summary["validation"]["best"])
        self.assertEqual(json.loads(log.read_text().splitlines()[-1])["epoch"], 600)


class Faults(Case):
    def test_have_one_line_and_leave_nothing(self):
        cases = [
            (["--methods=none,nope"], "no 'nope'"),
            (["--methods=none,none"], "once"),
            (["--trials=0"], "--trials"),
            (["--seeds=1,x"], "'x'"),
            (["--foo"], "--foo"),
            (["second.toml"], "one recipe"),
            (["method=none"], "--methods"),
            (["train.lrr=1"], "did you mean 'train.lr'"),
            (["train.epochs=0"], "nothing to tune"),
            (["train.eval_every=21"], "lower it"),
            (["eval.monitor=nope", "train.eval_every=1"], "no 'nope'"),
            (["eval.monitor_on=test", "train.eval_every=1"], "what is chosen by the test tells nothing"),
            ([f"data.path={self.folder / 'none'}"], "no such data set"),
            (["--methods=none", "train.l2=0.1", "train.lr=0.1"], "nothing of method=none is tuned"),
            (["llm.noise=0.5"], "'llm.noise' (command line) does not apply: method=none"),
            ([f"--space={self.folder / 'none.toml'}"], "none.toml: cannot be read"),
        ]
        spaces = [
            ('"train.lr" = {low = 1.0, high = 0.1}', "'train.lr': low (1.0) must be below high (0.1)"),
            ('"train.lr" = {low = 0, high = 0.1, log = true}', "low (0) must be above 0"),
            ('"train.lr" = {low = nan, high = 0.1}', "finite"),
            ('"train.lr" = {low = 1}', "'train.lr' needs"),
            ('"train.lr" = {around = 1}', "factor above 1"),
            ('"train.lr" = {around = 2, high = 3}', "around stands alone"),
            ('"train.lr" = {choices = [0.1, 0.1]}', "different"),
            ('"train.lr" = {low = 1, high = 2, logg = true}', "'logg'"),
            ('"train.lr" = {low = 1, high = 2, methods = ["nope"]}', "no method 'nope'"),
            ("train.lr = {low = 1, high = 2}", "in quotes"),
            ('"train.lrr" = {low = 1, high = 2}', "did you mean 'train.lr'"),
            ('"model.dropout" = {low = 0.1, high = 1.5}', "[0, 0.9999], got 1.5"),
            ('"llm.noise" = {around = 2}', "not above 0"),
            ('"seed" = {low = 1, high = 2, integer = true}', "'seed' cannot be tuned"),
            ("", "no section [space]"),
            ('"train.lr" = {', "is no TOML"),
        ]
        for words, named in cases + [
            ([self.space_named(k, text)], named) for k, (text, named) in enumerate(spaces)
        ]:
            with self.subTest(words=words):
                code, out, error = self.tune("--methods=none", *words)
                self.assertEqual((code, out, error.count("\n")), (1, "", 1), error)
                self.assertIn(named, error)
                if words[0].startswith("--space"):
                    self.assertIn(words[0].removeprefix("--space="), error)
                self.assertFalse(self.out.exists())
        self.recipe.unlink()
        self.assertIn("cannot read recipe", self.tune()[2])

    def space_named(self, k, text):
        path = self.folder / f"space_{k}.toml"
        path.write_text(f"[space]\n{text}\n")
        return f"--space={path}"

    def test_leave_a_foreign_folder_alone(self):
        self.out.mkdir()
        (self.out / "notes").write_text("mine")
        self.assertIn("not empty", self.tune("--methods=none")[2])
        (self.out / "study.db").write_text("mine too")
        self.assertIn("no study that can be read", self.tune("--methods=none")[2])
        self.assertEqual((self.out / "study.db").read_text(), "mine too")

    def test_divergence_is_an_outcome(self):
        """Counted, never chosen, and no figure."""
        words = ["--methods=none", "--trials=3", "--seeds=1", "train.l2=0.02"]
        code, _, error = self.tune(*words, self.space('"train.lr" = {low = 1e6, high = 1e7}'))
        self.assertEqual(code, 1)
        self.assertIn("no trial of none was completed", error)
        self.assertEqual([(row["state"], row["figure"]) for row in self.trials()], [("diverged", "")] * 3)

    def test_an_error_that_is_not_the_values_fault_takes_no_trial(self):
        words = ["--methods=none", "--trials=2", "--seeds=1"]
        with mock.patch.object(
            tune.Program, "train", lambda self, *_: sllmr.Child(["sh", "-c", "echo disk full >&2; exit 1"])
        ):
            code, _, error = self.tune(*words)
        self.assertEqual((code, error), (1, "tune: error: trial 0 of none: disk full\n"))
        self.assertEqual(self.tune(*words)[0], 0)
        rows = self.trials()
        self.assertEqual(
            [(row["number"], row["state"]) for row in rows],
            [("0", "failed"), ("1", "complete"), ("2", "complete")],
        )
        self.assertEqual(rows[1]["train.lr"], "0.08")  # the first guess was not lost
        self.assertEqual(
            json.loads((self.out / "tuning.json").read_text())["methods"]["none"]["trials"]["counted"], 2
        )

    def test_a_full_disk_leaves_no_run_behind(self):
        words = ["--methods=none", "--trials=1", "--seeds=1", "train.epochs=100000", "train.eval_every=1"]
        begun = []

        def train(program, *claimed):
            begun.append(real(program, *claimed))
            return begun[-1]

        real = tune.Program.train
        with (
            mock.patch.object(tune.Program, "train", train),
            mock.patch.object(tune.Studies, "report", side_effect=OSError("no space left on device")),
        ):
            code, _, error = self.tune(*words)
        self.assertEqual(
            (code, error), (1, "tune: error: no space left on device; the same command goes on\n")
        )
        self.assertIsNotNone(begun[0].status())


class Parts(unittest.TestCase):
    def test_direction_is_the_programs(self):
        program = sllmr.Program(PROGRAM)
        told = {
            metric: program.maximises(protocol, metric)
            for protocol, metric in [
                ("full", "auc"),
                ("full", "ndcg@10"),
                ("full", "gini@10"),
                ("ctr", "auc"),
                ("ctr", "log_loss"),
            ]
        }
        self.assertEqual(told, {"auc": True, "ndcg@10": True, "gini@10": False, "log_loss": False})
        with self.assertRaisesRegex(space.TuneError, "log_loss"):
            program.maximises("full", "log_loss")

    def test_families_have_their_words(self):
        families = sllmr.Program(PROGRAM).families()
        self.assertEqual(families["none"], ["none"])
        self.assertLessEqual({"global", "agreement"}, set(families["gated"]))

    def test_every_default_key_is_the_programs(self):
        keys = subprocess.run([PROGRAM, "config"], capture_output=True, text=True).stdout
        known = sllmr.Program(PROGRAM).families().keys()
        for path in [space.DEFAULT_SPACE, *(ROOT / "experiments/recipes").glob("*.space.toml")]:
            for found in space.read_space(path):
                self.assertIn(f"\n{found.key} ", keys, path)
                self.assertLessEqual(set(found.methods), known, path)

    def test_first_guess_lies_in_the_space(self):
        ranged = space.Parameter("k", low=0.1, high=0.5, log=True)
        self.assertEqual(
            [ranged.nearest(value) for value in (0.05, 0.2, 7, "x", True)], [0.1, 0.2, 0.5, None, None]
        )
        chosen = space.Parameter("k", choices=("[200, 80]", "[64]"))
        self.assertEqual([chosen.nearest(value) for value in ([200, 80], [1])], ["[200, 80]", None])
        settled = space.Parameter("k", around=4.0).settled(0.2)
        self.assertEqual((settled.low, settled.high, settled.log), (0.05, 0.8, True))

    def test_draws_depend_on_seed_and_number_alone(self):
        spaces = {
            "none": [space.Parameter("train.lr", 0.01, 1.0, log=True)],
            "global": [
                space.Parameter("train.lr", 0.01, 1.0, log=True),
                space.Parameter("llm.lambda", 0.0, 1.0),
            ],
        }
        start = sllmr.Start({"train.epochs": 6, "train.lr": 0.1, "llm.lambda": 0.25}, {})

        def draw(seed, gives_up=()):
            """Learning rates by method, of three trials each; the claims `gives_up` are left and taken up."""
            settings = {m: study.Settings.of(start, spaces[m], seed, "none") for m in spaces}
            drawn = {method: [] for method in spaces}
            with tempfile.TemporaryDirectory(dir=MEMORY) as name:
                studies = study.Studies(Path(name) / "out", settings, spaces, True)
                for k in range(6):
                    claim = studies.claim(3)
                    if k in gives_up:
                        studies.release(claim)
                        again = studies.claim(3)
                        self.assertEqual(
                            (again.method, again.number, again.params),
                            (claim.method, claim.number, claim.params),
                        )
                        claim = again
                    drawn[claim.method].append(claim.params["train.lr"])
                    studies.finish(claim, "complete", 0.5)
                self.assertIsNone(studies.claim(3))
            return drawn

        once = draw(1)
        self.assertEqual(once["none"][0], 0.1)
        self.assertEqual(once["none"], once["global"])
        self.assertEqual(draw(1, gives_up=(1, 4)), once)
        self.assertNotEqual(draw(2)["none"][1:], once["none"][1:])

    def test_a_trial_that_runs_elsewhere_is_not_claimed(self):
        spaces = {"none": [space.Parameter("train.lr", 0.01, 1.0)]}
        settings = {
            "none": study.Settings.of(
                sllmr.Start({"train.epochs": 6, "train.lr": 0.1}, {}), spaces["none"], 1, "none"
            )
        }
        with tempfile.TemporaryDirectory(dir=MEMORY) as name:
            first, second = (study.Studies(Path(name), settings, spaces, False) for _ in range(2))
            claims = [first.claim(2), second.claim(2)]
            self.assertEqual([claim.number for claim in claims], [0, 1])
            self.assertIsNone(first.claim(2))
            claims[0].trial.set_user_attr("outcome", "complete")  # as if killed before it was told
            with second.locked():
                self.assertEqual([study.outcome_of(t) for t in second.trials("none")], ["running"] * 2)
            first.finish(claims[0], "complete", 0.5)
            second.finish(claims[1], "complete", 0.25)
            with first.locked():
                self.assertEqual(first.best("none").number, 1)  # minimised

    def test_best_so_far_of_what_is_minimised(self):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        trials = [
            optuna.trial.create_trial(state=state, value=value)
            for state, value in [
                (optuna.trial.TrialState.PRUNED, None),
                (optuna.trial.TrialState.COMPLETE, 0.5),
                (optuna.trial.TrialState.FAIL, None),
                (optuna.trial.TrialState.COMPLETE, 0.6),
                (optuna.trial.TrialState.COMPLETE, 0.4),
            ]
        ]
        self.assertEqual(results.best_so_far(trials, False), [None, 0.5, 0.5, 0.4])
        self.assertEqual(results.best_so_far(trials, True), [None, 0.5, 0.6, 0.6])

    def test_a_torn_or_empty_validation_is_no_figure(self):
        with tempfile.TemporaryDirectory(dir=MEMORY) as name:
            run = Path(name)
            self.assertEqual(sllmr.read_validations(run, "auc"), [])
            line = '{"event": "validation", "epoch": %d, "auc": {"all": %s}}'
            (run / "metrics.jsonl").write_text(
                "\n".join(
                    [
                        line % (1, "0.5"),
                        '{"event": "epoch", "epoch": 2}',
                        line % (2, "null"),
                        line % (3, "0.75"),
                    ]
                )
            )
            self.assertEqual(sllmr.read_validations(run, "auc"), [(1, 0.5)])

    def test_a_seed_without_a_figure_has_no_mean(self):
        self.assertEqual(results._mean({"1": 0.5, "2": None}), "-")
        self.assertEqual(results._mean({"1": 0.5}), "0.5000")
        self.assertTrue(
            math.isclose(
                float(results._mean({"1": 0.5, "2": 0.7}).split(" ± ")[1]), math.sqrt(0.02), rel_tol=1e-3
            )
        )


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
