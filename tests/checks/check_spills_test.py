#!/usr/bin/env python3
"""check_spills.py must accept a clean resource report and reject spills, stack arrays and empty reports."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).with_name("check_spills.py")


def kernel(name, registers, stack=0, stores=0, loads=0):
    """What ptxas prints for one kernel."""
    return (
        f"ptxas info    : Compiling entry function '{name}' for 'sm_90'\n"
        f"ptxas info    : Function properties for {name}\n"
        f"    {stack} bytes stack frame, {stores} bytes spill stores, {loads} bytes spill loads\n"
        f"ptxas info    : Used {registers} registers, used 0 barriers\n"
        "ptxas info    : Compile time = 43.426 ms\n"
    )


def check(*reports):
    """Runs the check on reports; returns (exit status, output)."""
    with tempfile.TemporaryDirectory() as folder:
        objects = [f"{folder}/{k}.cu.o" for k in range(len(reports))]
        for name, report in zip(objects, reports):
            Path(name + ".resources").write_text("ptxas info    : 0 bytes gmem\n" + report)
        run = subprocess.run([sys.executable, SCRIPT, *objects], capture_output=True, text=True)
        return run.returncode, run.stdout + run.stderr


class CheckSpills(unittest.TestCase):
    def test_clean(self):
        status, output = check(kernel("_Z4stepILi64EEvv", 48) + kernel("_Z4stepILi128EEvv", 62))
        self.assertEqual(status, 0, output)
        self.assertIn("step<64>", output)
        self.assertIn("2 kernels, at most 62 registers", output)

    def test_bad_kernel_after_a_good_one(self):
        for bad in ({"stores": 4}, {"loads": 4}, {"stack": 256}):
            status, output = check(kernel("_Z4goodv", 48), kernel("_Z4nextv", 48) + kernel("_Z3badv", 255, **bad))
            self.assertEqual(status, 1, output)
            self.assertIn("FAIL", output)

    def test_spill_in_a_called_function(self):
        called = "ptxas info    : Function properties for _Z6calledv\n    0 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads\n"
        self.assertEqual(check(kernel("_Z4goodv", 48) + called)[0], 1)

    def test_nothing_to_check(self):
        self.assertEqual(check()[0], 1)
        self.assertEqual(check("")[0], 1)
        self.assertNotEqual(subprocess.run([sys.executable, SCRIPT, "missing.o"], capture_output=True).returncode, 0)


if __name__ == "__main__":
    unittest.main()
