import gc
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import sllmr


def test_a_run_is_the_programs_bit_by_bit(data, small, tmp_path):
    run = sllmr.train(data=data, settings=small, seed=3, run_dir=tmp_path / "here")
    words = [f"{key}={value}" for key, value in small.items()]
    said = subprocess.run(
        [sys.executable, "-m", "sllmr", "train", *words, "seed=3", f"data.path={data._settings['path']}",
         f"run_dir={tmp_path}/there"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    there = sllmr.load_run(tmp_path / "there")
    assert run.tensors.keys() == there.tensors.keys()
    for name, tensor in run.tensors.items():
        assert np.array_equal(tensor, there.tensors[name]), name
    assert run.metrics.equals(there.metrics)


def test_recipes_and_settings_by_section(data):
    assert "mf_beauty" in sllmr.recipes()
    run = sllmr.train("mf_beauty", data=data, method="none", train={"epochs": 2}, eval={"topk": [3, 7]}, device="cpu")
    assert run.summary["epochs"] == 2 and {"recall@3", "ndcg@7"} <= set(run.metrics.index)
    assert list(run.epochs.index) == [1, 2] and (run.epochs.loss > 0).all()


def test_factors_are_the_files_pages(data, small):
    run = sllmr.train(data=data, settings=small)
    users, items = run.user_factors, run.item_factors
    assert users.shape == (60, 32) and items.shape == (len(data.items), 32) and users.dtype == np.float32
    assert np.shares_memory(users, run.tensors["users.weights"])
    exchanged = np.from_dlpack(items)
    assert exchanged.ctypes.data == items.ctypes.data
    before = sllmr.load_run(run.path).item_factors.copy()
    items[:] = 0  # theirs, not the file's
    assert np.array_equal(sllmr.load_run(run.path).item_factors, before)


def test_progress_and_events(data, small):
    heard = []
    run = sllmr.train(data=data, settings={**small, "train.eval_every": 2}, progress=heard.append)
    epochs = [each for each in heard if each["event"] == "epoch"]
    assert [each["epoch"] for each in epochs] == [1, 2, 3, 4]
    validations = [each for each in heard if each["event"] == "validation"]
    assert [each["epoch"] for each in validations] == [2, 4] and 0 < validations[0]["auc"]["all"] < 1
    assert list(run.epochs["auc.all"].dropna()) == [each["auc"]["all"] for each in validations]


def test_what_progress_raises_stops_and_resumes(data, small, tmp_path):
    class Enough(Exception):
        pass

    def stop(event):
        if event["event"] == "epoch" and event["epoch"] == 2:
            raise Enough

    long = {**small, "train.epochs": 300}
    with pytest.raises(Enough):
        sllmr.train(data=data, settings=long, run_dir=tmp_path / "run", progress=stop)
    with pytest.raises(sllmr.Error, match="has not ended"):
        sllmr.load_run(tmp_path / "run").metrics
    stopped = len(sllmr.load_run(tmp_path / "run").epochs)
    assert 2 <= stopped < 300
    run = sllmr.train(data=data, settings=long, run_dir=tmp_path / "run", resume=True)
    whole = sllmr.train(data=data, settings=long)
    assert np.array_equal(run.item_factors, whole.item_factors)


def test_ctrl_c_is_a_keyboard_interrupt(data, small, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        sllmr.train(data=data, settings={**small, "train.epochs": 10_000_000}, run_dir=tmp_path / "run")
    timer.join()
    assert time.monotonic() - began < 5
    assert signal.getsignal(signal.SIGINT) is handler
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_one_at_a_time(data, small):
    errors = []

    def train_too(event):
        if event["event"] == "epoch" and not errors:
            try:
                sllmr.train(data=data, settings=small)
            except sllmr.Error as error:
                errors.append(str(error))

    sllmr.train(data=data, settings=small, progress=train_too)
    assert len(errors) == 1 and "already" in errors[0]


def test_a_run_without_a_folder_goes_with_its_object(data, small):
    run = sllmr.train(data=data, settings=small)
    path = run.path
    assert path.exists()
    del run
    gc.collect()
    assert not path.exists()


def test_a_run_keeps_the_data_that_it_needs(interactions, small):
    run = sllmr.train(data=sllmr.Dataset.from_frame(interactions), settings=small)
    gc.collect()
    assert sllmr.evaluate(run).equals(run.metrics)


def test_the_gate_by_epoch(data, judged, small):
    scores = sllmr.ScoreTable(judged, data)
    run = sllmr.train(data=data, scores=scores, method="calibrated", settings=small)
    assert list(run.gate.index) == [1, 2, 3, 4] and run.gate.mean_alpha.between(0, 1).all()
    assert run.summary["llm"]["pairs"] == len(scores)
    assert sllmr.train(data=data, method="none", settings=small).gate.empty


RULE = """#include "kernels/gates/rule.h"
namespace sllmr::gates {
struct OfPython : GateRule {
  static constexpr std::string_view name = "of_python", summary = "half of the tail";
  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals& z, const Theta&) {
    return 0.5F * z.tail;
  }
};
}
"""


def test_a_gate_from_a_header(data, judged, small, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "rule.h").write_text(RULE)
    with pytest.warns(sllmr.Note, match="compiling"):
        run = sllmr.train(
            data=data, scores=sllmr.ScoreTable(judged, data), method="hinge",
            settings={**small, "gate.rule": tmp_path / "rule.h"},
        )  # fmt: skip
    assert run.gate.mean_alpha.between(0.01, 0.5).all()
    (tmp_path / "rule.h").write_text(RULE.replace("z.tail", "z.tale"))
    with pytest.raises(sllmr.Error, match="does not compile"):
        sllmr.train(data=data, scores=sllmr.ScoreTable(judged, data), method="hinge",
                    settings={**small, "gate.rule": tmp_path / "rule.h"})  # fmt: skip


def test_a_runs_data_are_the_objects(interactions, small, tmp_path):
    """Not what its files hold by now, and not another's settings."""
    data = sllmr.Dataset.from_frame(interactions, folder=tmp_path)
    (tmp_path / "frame.inter").unlink()
    sllmr.Dataset.from_frame(interactions.iloc[:300], folder=tmp_path)
    run = sllmr.train(data=data, settings=small)
    assert len(run.user_factors) == 60 and run.summary["data_hash"] == data.hash
    with pytest.raises(sllmr.Error, match="has changed since"):
        sllmr.compare(data=data, settings=small, methods="none", seeds=[1], out=tmp_path / "runs")
    with pytest.raises(sllmr.Error, match="data.core was 0, is 5"):
        sllmr.train(data=data, settings={**small, "data.core": 5})
    for settings, key in (({"data.path": "x"}, "data.path"), ({"run_dir": "x"}, "run_dir")):
        with pytest.raises(sllmr.Error, match=f"{key} is set by"):
            sllmr.train(data=data, settings={**small, **settings})


def test_relative_folders_are_where_they_were(data, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = sllmr.train(data=data, settings=small, run_dir="here")
    monkeypatch.chdir("/")
    assert len(run.metrics) > 0
    os.makedirs(tmp_path / "mf_beauty")
    monkeypatch.chdir(tmp_path)
    sllmr.train("mf_beauty", data=data, train={"epochs": 1}, device="cpu")  # the recipe, not the folder


def test_the_last_setting_wins(data, small):
    run = sllmr.train(data=data, settings={**small, "train": {"epochs": 2, "lr": 0.2}}, train={"epochs": 3})
    assert run.summary["epochs"] == 3 and "lr = 0.2" in run.summary["config"]


def test_what_an_interruption_leaves_is_kept_and_told(data, small):
    def stop(event):
        if event["event"] == "epoch":
            raise RuntimeError

    with pytest.warns(sllmr.Note, match="go on with") as told, pytest.raises(RuntimeError):
        sllmr.train(data=data, settings={**small, "train.epochs": 300}, progress=stop)
    note = str(next(each.message for each in told if "go on with" in str(each.message)))
    folder = note.split("'")[1]
    assert sllmr.train(data=data, settings={**small, "train.epochs": 300}, run_dir=folder, resume=True).summary["epochs"] == 300
    shutil.rmtree(os.path.dirname(folder))


def test_a_childs_end_is_not_its_parents(data, small):
    run = sllmr.train(data=data, settings=small)
    child = os.fork()
    if child == 0:
        try:
            sys.exit()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert run.path.exists() and pickle.loads(pickle.dumps(run)).metrics.equals(run.metrics)


def test_an_interpreter_that_ends_stops_the_work(data):
    program = """
import sys, threading, time
import sllmr
data = sllmr.Dataset(sys.argv[1])
work = dict(model={"name": "mf", "width": 32}, train={"epochs": 10**7}, device="cpu", threads=1)
threading.Thread(target=lambda: sllmr.train(data=data, **work), daemon=True).start()
time.sleep(0.5)
"""
    words = [sys.executable, "-c", program, data._settings["path"]]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0 and "terminate" not in said.stderr


def test_faults_are_errors(data, small, tmp_path):
    with pytest.raises(sllmr.Error, match="did you mean 'model.name'"):
        sllmr.train(data=data, model={"nam": "mf"})
    with pytest.raises(sllmr.Error, match="run_dir"):
        sllmr.train(data=data, settings=small, resume=True)
    with pytest.raises(FileNotFoundError, match="holds no run"):
        sllmr.load_run(tmp_path)
    sllmr.train(data=data, settings=small, run_dir=tmp_path / "run")
    with pytest.raises(sllmr.Error, match="holds a run"):
        sllmr.train(data=data, settings=small, run_dir=tmp_path / "run")
    deep = sllmr.train("ctr_paper", data=data, model={"name": "deepfm", "width": 4}, train={"epochs": 1}, device="cpu")
    with pytest.raises(sllmr.Error, match="no factors"):
        deep.user_factors


def test_compare_keeps_its_runs(data, judged, small, tmp_path):
    scores = sllmr.ScoreTable(judged, data)
    rows = ["none", "agreement:llm.lambda=0.5"]
    call = dict(data=data, scores=scores, settings=small, out=tmp_path / "runs", methods=rows, seeds=[1, 2])
    first = sllmr.compare(**call)
    assert "| none |" in first.markdown
    table = first.table("auc")
    assert list(table.index) == ["none", "agreement llm.lambda=0.5"] and table["std"].notna().all().all()
    runs = first.runs("none")
    assert [run.summary["seed"] for run in runs] == [1, 2]
    assert table.loc["none", ("mean", "all")] == pytest.approx(np.mean([run.metrics.loc["auc", "all"] for run in runs]))
    kept = [(run.path / "summary.json").stat().st_mtime_ns for run in runs]
    again = sllmr.compare(**call)
    assert kept == [(run.path / "summary.json").stat().st_mtime_ns for run in again.runs("none")]
    assert json.dumps(again.results) == json.dumps(first.results)
    with pytest.raises(sllmr.Error, match="no metric 'acu'"):
        again.table("acu")
    with pytest.raises(sllmr.Error, match="--methods"):
        sllmr.compare(**{**call, "methods": ["none", "none"]})
