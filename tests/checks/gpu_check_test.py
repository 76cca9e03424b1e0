#!/usr/bin/env python3
"""gpu_check.py must end at once without a GPU, keep its budget, order its steps and lose nothing, tools played by scripts."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "gpu_check.py"

TEST_PROGRAM = """#!/bin/sh
case $* in
*list_tests*) printf 'Running main()\\nSmallCuda.\\n  IsRight\\nAll/GateCuda.\\n'; for k in 0 1 2 3 4 5 6 7 8; do echo "  Case/$k  # rule"; done ;;
*) printf '[       OK ] SmallCuda.IsRight (1 ms)\\n' ;;
esac
"""
BENCH = """#!/bin/sh
echo 'a row of figures'
echo '{"rate": 3}'
"""
# With a grandchild that left the process group, and a flood before the end.
HANGS = """#!/bin/sh
setsid sleep 300 & echo $! $$ >>pids
yes | head -c 2000000
sleep 300
"""
PLAYED = {
    "nvidia-smi": "#!/bin/sh\necho 'Some GPU, 1.2'\n",
    "compute-sanitizer": "#!/bin/sh\nshift 4\n\"$@\"\necho '========= ERROR SUMMARY: 0 errors'\n",
    "ncu": "#!/bin/sh\necho '    Duration    us    12.5'\n",
    "python3": "#!/bin/sh\nexit 0\n",  # has torch
}
NO_GPU = {"nvidia-smi": "#!/bin/sh\necho 'No devices were found'; exit 6\n"}


class GpuCheck(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        for folder in ("tests", "build", "bin", "bench/results/then", "shared/data/amazon"):
            (self.root / folder).mkdir(parents=True)
        shutil.copy(SCRIPT, self.root / "tests")
        (self.root / "shared/data/amazon/beauty.inter").touch()
        self.place("bin", PLAYED)
        for tool in ("sh", "bash", "env", "head", "rm", "setsid", "sleep", "yes"):
            (self.root / "bin" / tool).symlink_to(shutil.which(tool))
        self.addCleanup(self.kill_left)

    def place(self, folder, scripts):
        for name, text in scripts.items():
            path = self.root / folder / name
            path.write_text(text)
            path.chmod(0o755)

    def pack(self, **changed):
        """build/portable.tar.gz with the programs of ./run gpu-build."""
        (self.root / "portable").mkdir()
        self.place("portable", {"test_kernels": TEST_PROGRAM, "test_models": TEST_PROGRAM, "sllmr_bench": BENCH} | changed)
        (self.root / "portable/commit").write_text("abc123\n")
        with tarfile.open(self.root / "build/portable.tar.gz", "w:gz") as tar:
            tar.add(self.root / "portable", "portable")

    def start(self, *arguments):
        # No tool of this machine is found, and no GPU through the driver's library.
        environment = {"PATH": f"{self.root}/bin", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-B", self.root / "tests/gpu_check.py", self.root / "results", *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def check(self, *arguments):
        process = self.start(*arguments)
        output, messages = process.communicate(timeout=60)
        return process.returncode, output, messages

    def summary(self):
        return json.loads((self.root / "results/summary.json").read_text())

    def statuses(self):
        return {step["name"]: step["status"] for step in self.summary()["steps"]}

    def pids(self):
        path = self.root / "pids"
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []

    def kill_left(self):
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def lives(self, pid):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    def wait_for(self, text):
        for _ in range(600):
            log = self.root / "results/log.txt"
            if log.exists() and text in log.read_text(errors="replace") and self.pids():
                return
            time.sleep(0.05)
        self.fail(f"'{text}' is not in the log")

    def test_without_a_gpu_one_line_and_nothing_unpacked(self):
        self.place("bin", NO_GPU)
        self.pack()
        status, output, messages = self.check()
        self.assertEqual((status, output), (1, ""))
        self.assertRegex(messages, r"\Agpu-check: no GPU here.*\n\Z")
        self.assertFalse((self.root / "build/portable").exists())
        self.assertFalse((self.root / "results").exists())

    def test_without_programs_one_line(self):
        status, output, messages = self.check()
        self.assertEqual((status, output), (1, ""))
        self.assertRegex(messages, r"\Agpu-check: needs nvcc, or build/portable.tar.gz.*\n\Z")

    def test_bad_budget(self):
        for budget in ("0", "-3", "nan", "soon"):
            self.assertEqual(self.check("--budget", budget)[0], 2)

    def test_order_and_what_lacks_a_tool(self):
        self.pack()
        (self.root / "bin/ncu").unlink()
        # All of racecheck passed once, longer ago than the epochs; nothing else but parity ever did.
        parts = [f"racecheck {layer} {suite}" for layer in ("kernels", "models")
                 for suite in ("SmallCuda", "All/GateCuda", "All/GateCuda from 8")]
        for folder, date, names in (("then", "2026-01-01", parts), ("now", "2026-02-02", ["mf epochs", "parity models"])):
            (self.root / "bench/results" / folder).mkdir(exist_ok=True)
            steps = [{"name": name, "status": "passed"} for name in names] + [{"name": "sweep", "status": "failed"}]
            (self.root / f"bench/results/{folder}/summary.json").write_text(json.dumps({"date": date, "steps": steps}))
        status, output, messages = self.check()
        self.assertEqual(status, 0, messages)
        names = list(self.statuses())
        self.assertEqual(names[:2], ["parity kernels", "parity models"])
        self.assertEqual(names[2:4], ["memcheck kernels SmallCuda", "memcheck kernels All/GateCuda"])
        self.assertLess(names.index("memcheck models All/GateCuda from 8"), names.index("compiled dcnv2"))
        self.assertEqual(names[-7:], [*sorted(parts, key=lambda p: "from" in p), "mf epochs"])
        figures = {step["name"]: step.get("figures") for step in self.summary()["steps"]}
        self.assertEqual(figures["mf epochs"], {"rate": 3})
        self.assertIn("abc123", (self.root / "results/summary.txt").read_text())
        self.assertEqual({s for n, s in self.statuses().items() if not n.startswith("ncu")}, {"passed"})
        self.assertEqual({s for n, s in self.statuses().items() if n.startswith("ncu")}, {"no tool"})
        self.assertIn("ncu was not found", messages)
        self.assertIn("no tool: ncu PlainRows, ncu RowsWithPairs", output)

    def test_a_step_that_fails(self):
        self.pack(test_models=TEST_PROGRAM.replace("OK ] SmallCuda", "SKIPPED ] SmallCuda"))
        status, output, _ = self.check()
        self.assertEqual(status, 1)
        self.assertEqual(self.statuses()["parity kernels"], "passed")
        self.assertEqual(self.statuses()["parity models"], "failed")
        self.assertIn("failed: parity models", output)

    def test_budget_is_kept_and_what_did_not_fit_is_named(self):
        self.pack(sllmr_bench=HANGS)
        status, output, _ = self.check("--budget", "2")
        self.assertLess(self.summary()["seconds"], 8)  # on a busy machine
        self.assertEqual(status, 1)
        late = [name for name, status in self.statuses().items() if status == "did not fit"]
        self.assertTrue(late)  # which of them depends on the machine
        self.assertIn(f"did not fit: {', '.join(late)}\n", output)
        self.assertEqual([pid for pid in self.pids() if self.lives(pid)], [])
        self.assertLess((self.root / "results/log.txt").stat().st_size, 2_000_000 * max(1, len(self.pids()) // 2))

    def test_killed_it_leaves_what_it_had(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number):
                shutil.rmtree(self.root / "portable", ignore_errors=True)
                (self.root / "pids").unlink(missing_ok=True)
                self.pack(sllmr_bench=HANGS)
                process = self.start()
                self.wait_for("== mf epochs")
                process.send_signal(number)
                _, messages = process.communicate(timeout=30)
                self.assertNotEqual(process.returncode, 0, messages)
                found = self.statuses()
                self.assertEqual(found["parity models"], "passed")
                self.assertEqual(found["racecheck kernels SmallCuda"], "passed")
                self.assertEqual(found["sweep"], "did not fit")
                if number == signal.SIGTERM:
                    self.assertEqual(found["mf epochs"], "stopped")
                    self.assertEqual([pid for pid in self.pids() if self.lives(pid)], [])
                self.kill_left()


if __name__ == "__main__":
    unittest.main()
