"""What the Python package takes: reading, training, evaluating.

usage: python python_package.py DATA     the file, folder or prefix of a data set; the package must be installed

Medians of five, in seconds, with the machine's load.
"""

import os
import statistics
import sys
import time

import sllmr


def seconds(call):
    times = []
    for _ in range(5):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


data = sllmr.Dataset(sys.argv[1])
settings = {"method": "none", "device": "cpu", "progress": False}
run = sllmr.train("mf_beauty", data=data, **settings, train={"epochs": 20})
factors = run.user_factors, run.item_factors
matrix = factors[0] @ factors[1].T
print(f"{data}, load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores")
for what, call in {
    "read": lambda: sllmr.Dataset(sys.argv[1]),
    "train 20 epochs and test": lambda: sllmr.train("mf_beauty", data=data, **settings, train={"epochs": 20}),
    "evaluate the run": lambda: sllmr.evaluate(run),
    "evaluate its factors": lambda: sllmr.evaluate(factors, data),
    "evaluate a matrix": lambda: sllmr.evaluate(matrix, data),
    "evaluate factors, ctr": lambda: sllmr.evaluate(factors, data, eval={"protocol": "ctr"}),
}.items():
    print(f"{what:<26}{seconds(call):8.3f}")
