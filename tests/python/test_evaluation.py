import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest

import sllmr


@pytest.fixture(scope="module")
def scores(data):
    """With ties: one decimal."""
    draws = np.random.default_rng(7)
    return np.round(draws.normal(size=(len(data.users), len(data.items))), 1).astype(np.float32)


def naive(data, scores, target):
    """(user, AUC, expected reciprocal rank) of each ranked item, in double precision, ties broken at random."""
    rows = []
    for user in range(len(data.users)):
        own = data.history[data.offsets[user] : data.offsets[user + 1]]
        item = own[-1] if target == "test" else own[-2]
        seen = own[:-1] if target == "test" else own[:-2]
        others = np.setdiff1d(np.arange(len(data.items)), [item, *seen])
        above, ties = (scores[user, others] > scores[user, item]).sum(), (scores[user, others] == scores[user, item]).sum()
        auc = (len(others) - above - 0.5 * ties) / len(others)
        rows.append((user, auc, np.mean(1.0 / (above + 1 + np.arange(ties + 1)))))
    return rows


@pytest.mark.parametrize("target", ["test", "validation"])
def test_metrics_are_those_of_the_definition(data, scores, target):
    expected = naive(data, scores, target)
    figures = sllmr.evaluate(scores, data, target=target)
    assert figures.loc["auc", "all"] == pytest.approx(np.mean([auc for _, auc, _ in expected]), abs=1e-9)
    assert figures.loc["mrr", "all"] == pytest.approx(np.mean([rank for _, _, rank in expected]), abs=1e-9)
    rows = sllmr.evaluate(scores, data, target=target, per_row=True)
    assert list(rows.user_id) == list(data.users)
    assert np.allclose(rows.auc, [auc for _, auc, _ in expected], atol=1e-6)
    cold = [auc for user, auc, _ in expected if data.user_table.cold.iloc[user]]
    if cold:
        assert figures.loc["auc", "cold"] == pytest.approx(np.mean(cold), abs=1e-9)


def test_every_form_of_a_model_gives_the_same(data, small):
    run = sllmr.train(data=data, settings=small)
    users, items = run.user_factors, run.item_factors
    of_run = sllmr.evaluate(run)
    assert of_run.equals(run.metrics)
    product = users @ items.T
    for model in ((users, items), product, product.astype(np.float64), lambda rows: product[rows]):
        figures = sllmr.evaluate(model, data)
        assert np.allclose(figures.loc[of_run.index], of_run, atol=1e-6, equal_nan=True)
    assert len(sllmr.evaluate(run, per_row=True)) == len(data.users)


def test_other_protocols_metrics_and_cut_offs(data, scores):
    labelled = sllmr.evaluate(scores, data, eval={"protocol": "ctr"}, seed=5)
    assert labelled.loc["n", "all"] == 2 * len(data.users) and "log_loss" in labelled.index
    rows = sllmr.evaluate(scores, data, eval={"protocol": "ctr"}, seed=5, per_row=True)
    given = [scores[data.users.get_loc(row.user_id), data.items.get_loc(row.item_id)] for row in rows.itertuples()]
    assert np.allclose(rows.logit, given) and rows.label.mean() == 0.5
    lists = sllmr.evaluate(scores, data, eval={"topk": [3], "lists": True})
    assert {"recall@3", "coverage@3"} <= set(lists.index)


def test_a_function_gets_rows_and_its_faults_are_raised(data, scores):
    asked = []

    def model(rows):
        asked.extend(rows)
        return scores[rows]

    assert sllmr.evaluate(model, data).equals(sllmr.evaluate(scores, data))
    assert sorted(asked) == list(range(len(data.users)))

    def broken(rows):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        sllmr.evaluate(broken, data)


def test_a_frame_is_aligned_by_its_labels(data, scores):
    frame = pd.DataFrame(scores, index=data.users, columns=data.items)
    mixed = frame.sample(frac=1, random_state=0).sample(frac=1, axis=1, random_state=1)
    assert sllmr.evaluate(mixed, data).equals(sllmr.evaluate(scores, data))
    with pytest.raises(sllmr.Error, match="columns are not the ids of data.items"):
        sllmr.evaluate(frame.set_axis(range(len(data.items)), axis=1), data)


def test_a_function_is_called_by_the_thread_that_asks(data, scores):
    threads = set()

    def model(rows):
        threads.add(threading.current_thread())
        return scores[rows]

    sllmr.evaluate(model, data)
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("protocol", ["full", "ctr"])
def test_ctrl_c_is_heard_in_a_slow_function(data, scores, protocol):
    def slow(rows):
        time.sleep(30)
        return scores[rows]

    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        sllmr.evaluate(slow, data, eval={"protocol": protocol})
    timer.join()
    assert time.monotonic() - began < 5


def test_faults_are_errors(data, scores):
    holed = scores.copy()
    holed[3, 5] = np.nan
    with pytest.raises(sllmr.Error, match=f"'{data.users[3]}' and item '{data.items[5]}' is nan"):
        sllmr.evaluate(holed, data)
    for protocol in ("full", "ctr"):
        with pytest.raises(sllmr.Error, match="scores must be finite"):
            sllmr.evaluate(np.where(scores > 0, scores, -np.inf), data, eval={"protocol": protocol})
    with pytest.raises(sllmr.Error, match="device="):
        sllmr.evaluate(scores, data, device="cuda")
    with pytest.raises(sllmr.Error, match="train.epochs has no part"):
        sllmr.evaluate(scores, data, train={"epochs": 3})
    with pytest.raises(sllmr.Error, match="need data="):
        sllmr.evaluate(scores, "a path")
    with pytest.raises(sllmr.Error, match="60 users and 39 items"):
        sllmr.evaluate(scores[:, :39], data)
    with pytest.raises(sllmr.Error, match="expected \\[users, items\\]"):
        sllmr.evaluate(scores[0], data)
    with pytest.raises(sllmr.Error, match=", 3\\]: expected"):
        sllmr.evaluate(lambda rows: np.zeros((len(rows), 3)), data)
    with pytest.raises(sllmr.Error, match="width"):
        sllmr.evaluate((scores, scores[:, :5]), data)
    with pytest.raises(sllmr.Error, match="need data="):
        sllmr.evaluate(scores)
    with pytest.raises(sllmr.Error, match="target='tset'"):
        sllmr.evaluate(scores, data, target="tset")
    with pytest.raises(sllmr.Error, match="eval.topk"):
        sllmr.evaluate(scores, data, eval={"topk": [0]})
