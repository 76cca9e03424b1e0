import numpy as np
import pandas as pd
import pytest

import sllmr


def test_a_frame_becomes_a_table_and_back(data, judged):
    table = sllmr.ScoreTable(judged, data)
    assert len(table) == len(judged) and table.unknown_rows == 0
    frame = table.frame
    both = frame.merge(judged, on=["user_id", "item_id"])
    assert len(both) == len(judged) and np.allclose(both.score_x, both.score_y, atol=1e-7)
    assert frame.groupby("user_id").score.apply(lambda each: each.is_monotonic_decreasing).all()
    last = [data.items[data.history[data.offsets[u] + n - 1]] for u, n in enumerate(data.user_table.train_items)]
    assert sorted(zip(frame.user_id[frame.probe], frame.item_id[frame.probe])) == sorted(zip(data.users, last))


def test_the_stats_are_of_the_frame(data, judged):
    table = sllmr.ScoreTable(judged, data)
    frame, stats = table.frame, table.stats
    assert stats["pairs"] == len(frame) and stats["probes"] == frame.probe.sum()
    agreement = []
    for _, of_user in frame.groupby("user_id"):
        probe, others = of_user.score[of_user.probe].iloc[0], of_user.score[~of_user.probe]
        agreement.append(((others < probe) + 0.5 * (others == probe)).mean())
    assert stats["agreement"] == pytest.approx(np.mean(agreement), abs=1e-6)


def test_files_are_read_and_written(data, judged, tmp_path):
    table = sllmr.ScoreTable(judged, data)
    table.save(tmp_path / "a.scores")
    again = sllmr.ScoreTable(tmp_path / "a.scores", data)
    pd.testing.assert_frame_equal(table.frame, again.frame)
    with pytest.raises(FileExistsError, match="a.scores exists"):
        table.save(tmp_path / "a.scores")


def test_faults_are_errors(data, judged, tmp_path):
    with pytest.raises(sllmr.Error, match="lacks the column 'score'"):
        sllmr.ScoreTable(judged.drop(columns="score"), data)
    with pytest.raises(sllmr.Error, match="score"):
        sllmr.ScoreTable(judged.assign(score=judged.score + 1), data)
    with pytest.raises(sllmr.Error, match="score"):
        sllmr.ScoreTable(judged.assign(score=np.nan), data)
    with pytest.raises(sllmr.Error, match="second score"):
        sllmr.ScoreTable(pd.concat([judged, judged.iloc[:1].assign(score=0.125)]), data)
    with pytest.raises(sllmr.Error, match="'probe' is neither 0 nor 1 in row 0"):
        sllmr.ScoreTable(judged.assign(probe=0.7), data)
    with pytest.raises(sllmr.Error, match="expected a Dataset"):
        sllmr.ScoreTable(judged, "a path")
    with pytest.raises(sllmr.Error, match="nowhere"):
        sllmr.ScoreTable(tmp_path / "nowhere", data)


def test_rows_of_nobody_are_counted(data, judged):
    strangers = judged.iloc[:4].assign(user_id="nobody")
    with pytest.warns(sllmr.Note, match="4"):
        table = sllmr.ScoreTable(pd.concat([judged, strangers]), data)
    assert table.unknown_rows == 4 and len(table) == len(judged)
