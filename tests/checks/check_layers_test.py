#!/usr/bin/env python3
"""check_layers.py must accept a good tree and name what is wrong with a bad one."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).with_name("check_layers.py")


def check(files):
    """Runs the check on a tree of {path: text}; returns (exit status, messages)."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            file = Path(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        run = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True)
        return run.returncode, run.stderr


class CheckLayers(unittest.TestCase):
    def rejects(self, path, text, message):
        status, messages = check({"kernels/a.h": "", path: text})
        self.assertEqual(status, 1, messages)
        self.assertIn(message, messages)

    def accepts(self, path, text):
        self.assertEqual(check({path: text}), (0, ""))

    def test_downward_includes(self):
        self.accepts("kernels/b.cu", '#include <vector>\n#include "kernels/a.h"\n')
        self.accepts("host/train/b.cpp", '#include "models/a.h"\n#include "kernels/a.h"\n')
        self.accepts("tests/kernels/b.cpp", '#include "experiments/a.h"\n')

    def test_upward_include(self):
        self.rejects("kernels/b.cu", '\n#include "models/a.h"\n', 'kernels/b.cu:2: kernels must not include "models/a.h"')
        self.rejects("models/b.h", '#include "host/data/a.h"\n', "host is above it")
        self.rejects("host/data/b.h", '  #  include "experiments/a.h"\n', "experiments is above it")
        self.rejects("experiments/b.cpp", '#include "tests/a.h"\n', "tests is above it")

    def test_rooms(self):
        self.accepts("host/train/b.cpp", '#include "host/guidance/a.h"\n#include "host/train/a.h"\n')
        self.accepts("experiments/b.cpp", '#include "host/runs/a.h"\n')
        self.rejects("host/scores/b.cpp", '#include "host/base/a.h"\n#include "host/eval/a.h"\n',
                     'host/scores/b.cpp:2: host/scores must not include "host/eval/a.h": host/eval comes after it')
        self.rejects("host/llm/b.cpp", '#include "host/base/a.h"\n', "host/llm is no room")

    def test_length(self):
        self.accepts("experiments/b.cpp", "\n" * 350)
        self.accepts("tests/kernels/b.cpp", "\n" * 351)
        self.rejects("host/data/b.cpp", "\n" * 351, "351 lines")
        self.rejects("kernels/b.cu", "\n" * 351, "351 lines")

    def test_typedef(self):
        self.accepts("kernels/b.h", "// typedef int A;\nusing B = int;\n")
        self.rejects("tests/host/b.h", "\n\n  typedef int A;\n", "tests/host/b.h:3: typedef: write using")

    def test_relative_include(self):
        self.rejects("kernels/b.h", '#include "../host/a.h"\n', "from the root")
        self.rejects("tests/host/b.h", '#include "a.h"\n', "from the root")

    def test_cuda_outside_exec(self):
        self.accepts("kernels/exec/launch.h", "#if defined(__CUDACC__)\n#include <cuda_runtime.h>\n#endif\n")
        self.accepts("kernels/b.cu", "#if SLLMR_WITH_CUDA  // not __CUDACC__\n#endif\n")
        self.rejects("kernels/b.cu", "#include <cuda_runtime.h>\n", "cuda_runtime: only kernels/exec")
        self.rejects("host/b.cpp", "kernel<<<1, 2>>>();\n", "<<<: only kernels/exec")
        self.rejects("models/b.h", "#ifdef __CUDA_ARCH__\n#endif\n", "__CUDA_ARCH__")

    def test_parallel_regions(self):
        self.rejects("kernels/exec/parallel.h", "#pragma omp parallel num_threads(2)\n", "omp parallel")
        self.accepts("models/b.cpp", "#pragma omp simd reduction(+ : sum)\n")
        self.accepts("tests/host/b.cpp", "#pragma omp parallel\n")
        self.rejects("host/b.cpp", "\n  #  pragma omp parallel for\n", "host/b.cpp:2: #  pragma omp parallel")
        self.rejects("kernels/exec/launch.h", "#pragma omp for\n", "use kernels/exec/parallel.h")

    def test_test_data(self):
        self.accepts("host/eval/b.cpp", "auto item = split.test[user];\n")
        self.accepts("host/train/b.cpp", "// never split.test\nauto item = split.validation[user];\n")
        self.rejects("host/train/b.cpp", "auto item = split.test[user];\n", "only host/eval reads test data")
        self.rejects("host/ask/b.cpp", "\n\nauto& items = split->test;\n", "host/ask/b.cpp:3")
        self.rejects("models/b.cpp", "ctr_test_rows(split, 1);\n", "only host/eval reads test data")

    def test_empty_tree(self):
        self.assertEqual(check({"README.md": ""})[0], 1)


if __name__ == "__main__":
    unittest.main()
