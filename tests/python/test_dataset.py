import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import sllmr
from conftest import small_items


def test_frames_become_rows_and_parts(data, interactions):
    assert len(data.users) == 60 and data.stats["interactions"] == len(interactions)
    parts = data.interactions
    pd.testing.assert_frame_equal(
        parts[["user_id", "item_id"]].astype(object), interactions[["user_id", "item_id"]].astype(object)
    )
    for user, of_user in parts.groupby("user_id", sort=False):
        assert list(of_user.part) == ["train"] * (len(of_user) - 2) + ["validation", "test"]
        assert data.user_table.test[user] == of_user.item_id.iloc[-1]
        assert data.user_table.validation[user] == of_user.item_id.iloc[-2]
        assert data.user_table.train_items[user] == len(of_user) - 2
    train = parts[parts.part == "train"]
    counts = train.item_id.value_counts().reindex(data.items, fill_value=0)
    assert list(data.item_table.popularity) == list(counts)
    assert data.item_table.title["i3"] == "title of 3"
    assert "odd" in data.item_table.attributes["i3"]


def test_arrays_are_views_that_nobody_can_write_to(data):
    assert np.shares_memory(data.offsets, data.offsets)
    with pytest.raises(ValueError):
        data.offsets[0] = 7
    assert data.history.dtype == np.int32 and data.offsets[-1] == len(data.history)


def test_without_times_the_rows_are_in_order(interactions):
    shuffled = interactions.sample(frac=1, random_state=0)
    of_time = sllmr.Dataset.from_frame(shuffled)
    of_order = sllmr.Dataset.from_frame(interactions.drop(columns="timestamp"))
    assert {user: list(each.item_id) for user, each in of_time.interactions.groupby("user_id")} == {
        user: list(each.item_id) for user, each in of_order.interactions.groupby("user_id")
    }


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s"])
@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_dates_are_seconds(interactions, tmp_path, unit, zone):
    days = pd.to_datetime(interactions.timestamp + 16000, unit="D").dt.as_unit(unit)
    dated = interactions.assign(timestamp=days.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else days)
    data = sllmr.Dataset.from_frame(dated, folder=tmp_path)
    assert data.hash == sllmr.Dataset.from_frame(interactions).hash
    written = pd.read_csv(tmp_path / "frame.inter", sep="\t")
    assert list(written["timestamp:float"]) == list((interactions.timestamp + 16000) * 86400.0)
    dated.loc[3, "timestamp"] = pd.NaT
    with pytest.raises(sllmr.Error, match="'timestamp' has no value in row 3"):
        sllmr.Dataset.from_frame(dated)


def test_attributes_are_the_frames(interactions):
    items = pd.DataFrame({"item_id": [f"i{k}" for k in range(40)]})
    items["categories"] = [["Johnson & Johnson, Inc", "two words"], {"a"}, "one text", None] * 10
    table = sllmr.Dataset.from_frame(interactions, items).item_table
    given = items.set_index("item_id").loc[table.index].categories
    for item, values in given.items():
        expected = sorted(values) if isinstance(values, (list, set)) else [] if values is None else [values]
        assert sorted(each.replace("_", " ") for each in table.attributes[item]) == expected


def test_integers_are_ids_and_floats_are_not(interactions):
    numbered = interactions.assign(user_id=interactions.user_id.str[1:].astype(int))
    assert sllmr.Dataset.from_frame(numbered).users[1] == "1"
    with pytest.raises(sllmr.Error, match="'user_id' has floats"):
        sllmr.Dataset.from_frame(numbered.astype({"user_id": float}))
    with pytest.raises(sllmr.Error, match="b'x' in row 0"):
        sllmr.Dataset.from_frame(interactions.assign(item_id=[b"x"] * len(interactions)))


def test_a_data_set_is_pickled_as_its_files(data):
    again = pickle.loads(pickle.dumps(data))
    assert again.hash == data.hash and list(again.items) == list(data.items)


def test_the_program_reads_the_same(data):
    said = subprocess.run(
        [sys.executable, "-m", "sllmr", "data", "stats", data._settings["path"]], capture_output=True, text=True
    )
    assert said.returncode == 0 and data.hash in said.stdout


def test_filters_are_those_of_the_program(interactions, tmp_path):
    with pytest.warns(sllmr.Note, match="data.core"):
        data = sllmr.Dataset.from_frame(interactions, core=7)
    left = data.interactions
    assert left.user_id.value_counts().min() >= 7 and left.item_id.value_counts().min() >= 7
    assert 0 < len(left) < len(interactions)
    with pytest.warns(sllmr.Note, match="data.from"):
        late = sllmr.Dataset.from_frame(interactions, **{"from": 3})
    assert len(late.interactions) == (interactions.timestamp >= 3).sum()


def test_parquet_there_and_back(data, tmp_path):
    interactions, items = data.to_parquet(tmp_path)
    again = sllmr.Dataset.from_parquet(interactions, items)
    assert again.hash == data.hash
    pd.testing.assert_frame_equal(again.item_table, data.item_table)
    with pytest.raises(FileExistsError, match="exists"):
        data.to_parquet(tmp_path)
    named = pd.read_parquet(interactions).rename(columns={"user_id": "uid"}).assign(label=1)
    refused = named.iloc[:50].assign(item_id="never", label=0)
    pd.concat([named, refused]).to_parquet(tmp_path / "labelled.parquet")
    labelled = sllmr.Dataset.from_parquet(
        tmp_path / "labelled.parquet", columns={"uid": "user_id", "label": "rating"}, keep="rating>=1"
    )
    assert labelled.hash == data.hash


def test_negatives_are_what_was_shown(interactions, data, tmp_path):
    assert len(data.negatives) == 0 and list(data.negatives) == ["user_id", "item_id", "row"]
    refused = interactions.iloc[:30:3].assign(label=0, item_id="never")
    with pytest.warns(sllmr.Note, match="1[0-9]* items that were shown beside 10 interactions"):
        labelled = sllmr.Dataset.from_frame(pd.concat([interactions.assign(label=1), refused]))
    assert labelled.items[-1] == "never" and labelled.hash != data.hash
    shown = labelled.negatives
    assert set(shown.item_id) == {"never"} and len(shown) == 10
    beside = labelled.interactions.loc[shown.row]
    assert list(beside.user_id) == list(shown.user_id)
    assert set(zip(beside.user_id, beside.item_id)) == {tuple(each) for each in interactions.iloc[:30:3, :2].to_numpy()}
    with pytest.warns(sllmr.Note, match="negatives"):
        again = sllmr.Dataset.from_parquet(*labelled.to_parquet(tmp_path))
    assert again.hash == labelled.hash
    with pytest.warns(sllmr.Note, match="left out"):
        drawn = sllmr.Dataset.from_frame(pd.concat([interactions.assign(label=1), refused]), negatives="drawn")
    assert drawn.hash == data.hash


def test_names_that_are_no_utf_8(interactions, tmp_path):
    lines = interactions.rename(columns={"user_id": "user_id:token", "item_id": "item_id:token",
                                         "timestamp": "timestamp:float"}).to_csv(sep="\t", index=False)  # fmt: skip
    (tmp_path / "odd.inter").write_bytes(lines.encode().replace(b"u7\t", b"\xe9\t"))
    data = sllmr.Dataset(tmp_path / "odd")
    assert "\udce9" in data.users
    frame = data.interactions.assign(score=0.5)
    table = sllmr.ScoreTable(frame, data)
    assert table.unknown_rows == 0 and "\udce9" in set(table.frame.user_id)
    rows = sllmr.evaluate(np.zeros((len(data.users), len(data.items)), np.float32), data, per_row=True)
    assert list(rows.user_id) == list(data.users)
    again = sllmr.Dataset.from_frame(data.interactions)
    assert again.hash == data.hash
    (tmp_path / "torn.inter").write_bytes(b"user_id:token\titem_id:token\ttimestamp:float\n\xe9\ti1\tsoon\n")
    with pytest.raises(sllmr.Error, match="torn.inter:2"):
        sllmr.Dataset(tmp_path / "torn")


def test_faults_are_errors(interactions, tmp_path):
    with pytest.raises(sllmr.Error, match="nowhere"):
        sllmr.Dataset(tmp_path / "nowhere")
    with pytest.raises(sllmr.Error, match="did you mean 'data.keep'"):
        sllmr.Dataset(tmp_path / "nowhere", kep="all")
    with pytest.raises(sllmr.Error, match="lacks the column 'item_id'"):
        sllmr.Dataset.from_frame(interactions.rename(columns={"item_id": "item"}))
    with pytest.raises(sllmr.Error, match="'user_id' has a tab or a line's end in row 5"):
        sllmr.Dataset.from_frame(interactions.assign(user_id=["a"] * 5 + ["a\tb"] + ["c"] * (len(interactions) - 6)))
    sllmr.Dataset.from_frame(interactions, folder=tmp_path)
    with pytest.raises(FileExistsError, match="frame.inter exists"):
        sllmr.Dataset.from_frame(interactions, folder=tmp_path)
    with pytest.raises(sllmr.Error, match="without folders"):
        sllmr.Dataset.from_frame(interactions, name="../frame")
    with pytest.raises(sllmr.Error, match="two columns 'user_id'"):
        sllmr.Dataset.from_frame(interactions.set_axis(["user_id", "user_id", "item_id"], axis=1))
    missing = interactions.timestamp.astype(float)
    missing[3] = np.nan
    with pytest.raises(sllmr.Error, match="'timestamp' has no value in row 3"):
        sllmr.Dataset.from_frame(interactions.assign(timestamp=missing))


def test_remarks_are_warnings_and_notes(interactions):
    twice = pd.concat([interactions, interactions.iloc[:3]])
    data = sllmr.Dataset.from_frame(twice, small_items())
    assert any("3" in note for note in data.notes)
