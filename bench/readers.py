#!/usr/bin/env python3
"""How fast importers read: rows a second and memory of `sllmr data stats` on made-up files.

usage: readers.py PROGRAM [ROWS] [FORMAT...]     build/cpu/experiments/sllmr 1500000

Files lie in the page cache; the median of three runs each, with the processors' time and the machine's load.
"""

import gzip
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = [f"w{k}" for k in range(500)]


def pairs(rows):
    draw = random.Random(1)
    for k in range(rows):
        yield k, draw.randrange(rows // 5), draw.randrange(rows // 18), draw


def amazon_jsonl(folder, rows):
    path = folder / "reviews.jsonl"
    with open(path, "w") as file:
        for k, user, item, draw in pairs(rows):
            review = {
                "rating": float(draw.randrange(1, 6)),
                "title": " ".join(draw.choices(WORDS, k=4)),
                "text": " ".join(draw.choices(WORDS, k=32)),
                "images": [],
                "asin": f"B{item:09d}",
                "parent_asin": f"B{item:09d}",
                "user_id": f"AE{user:026d}",
                "timestamp": 1500000000000 + k * 1000,
                "helpful_vote": 0,
                "verified_purchase": True,
            }
            file.write(json.dumps(review) + "\n")
    return path


def amazon_jsonl_gz(folder, rows):
    plain = amazon_jsonl(folder, rows)
    with open(plain, "rb") as source, gzip.open(f"{plain}.gz", "wb", 6) as packed:
        shutil.copyfileobj(source, packed)
    plain.unlink()
    return Path(f"{plain}.gz")


def amazon_csv(folder, rows):
    path = folder / "ratings.csv"
    with open(path, "w") as file:
        file.write("user_id,parent_asin,rating,timestamp\n")
        for k, user, item, _ in pairs(rows):
            file.write(f"AE{user:026d},B{item:09d},5.0,{1500000000000 + k * 1000}\n")
    return path


def kuairec(folder, rows):
    path = folder / "big_matrix.csv"
    with open(path, "w") as file:
        file.write("user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n")
        for k, user, item, _ in pairs(rows):
            at = 1593898068.378 + k
            file.write(f"{user},{item},4381,6067,2020-07-05 05:27:48.378,20200705,{at:.3f},0.7221\n")
    return path


def mind(folder, rows):
    """Ten impressions a line, two of them clicked: impressions are counted as rows."""
    path = folder / "behaviors.tsv"
    with open(path, "w") as file:
        for k, user, item, draw in pairs(rows // 10):
            shown = " ".join(f"N{draw.randrange(1, rows // 18)}-{int(at < 2)}" for at in range(10))
            at = f"11/{1 + k % 30}/2019 {1 + k % 12}:{k % 60:02}:{k // 60 % 60:02} AM"
            file.write(f"{k}\tU{user}\t{at}\tN{item + 1}\t{shown}\n")
    return path


def fuxictr(folder, rows):
    """A positive and a negative after the same history, as AmazonElectronics_x1 has them; all rows are counted."""
    with open(folder / "train.csv", "w") as file:
        file.write("label,user_id,item_id,cate_id,item_history\n")
        for k, user, item, draw in pairs(rows // 2):
            history = "^".join(str(draw.randrange(1, rows // 18)) for _ in range(1 + k % 8))
            for label, each in enumerate((item, draw.randrange(rows // 18))):
                file.write(f"{1 - label},{user},{each},{each % 50},{history}\n")
    (folder / "fuxictr.toml").write_text(
        '[interactions]\nfile = "train.csv"\nseparator = ","\nuser = "user_id"\nitem = "item_id"\nlabel = "label"\n'
        'history = "item_history"\nhistory_separator = "^"\n[items]\nitem = "item_id"\ncategories = "cate_id"\n'
        'list_separator = "^"\n'
    )
    return folder / "fuxictr.toml"


def movielens(folder, rows):
    path = folder / "ratings.csv"
    with open(path, "w") as file:
        file.write("userId,movieId,rating,timestamp\n")
        for k, user, item, draw in pairs(rows):
            file.write(f"{user + 1},{item + 1},{draw.randrange(1, 11) / 2},{1000000000 + k}\n")
    return path


def s3rec(folder, rows):
    path = folder / "made.txt"
    with open(path, "w") as file:
        for user in range(rows // 10):
            draw = random.Random(user)
            file.write(f"{user} {' '.join(str(draw.randrange(rows // 18)) for _ in range(10))}\n")
    return path


def described(folder, name, description, lines):
    with open(folder / f"{name}.txt", "w") as file:
        for line in lines:
            file.write(line + "\n")
    (folder / f"{name}.toml").write_text(f'[interactions]\nfile = "{name}.txt"\n{description}')
    return folder / f"{name}.toml"


def yelp(folder, rows):
    def line(k, user, item, draw):
        review = {
            "review_id": f"R{k:021d}",
            "user_id": f"U{user:021d}",
            "business_id": f"B{item:021d}",
            "stars": float(draw.randrange(1, 6)),
            "useful": 0,
            "funny": 0,
            "cool": 0,
            "text": " ".join(draw.choices(WORDS, k=32)),
            "date": f"2018-07-{1 + k % 28:02} {k % 24:02}:33:00",
        }
        return json.dumps(review)

    keys = 'user = "user_id"\nitem = "business_id"\ntime = "date"\ntime_format = "%Y-%m-%d %H:%M:%S"\n'
    return described(folder, "yelp", keys, (line(*each) for each in pairs(rows)))


def steam(folder, rows):
    """Python dictionaries."""

    def line(k, user, item, draw):
        text = " ".join(draw.choices(WORDS, k=16))
        return (
            f"{{u'username': u'name {user}', u'hours': 0.1, u'products': 41, u'product_id': u'{item}', u'page_order': 0, "
            f"u'date': u'2017-12-{1 + k % 28:02}', u'text': u'{text}', u'early_access': False, u'page': 1}}"
        )

    keys = 'user = "username"\nitem = "product_id"\ntime = "date"\ntime_format = "%Y-%m-%d"\n'
    return described(folder, "steam", keys, (line(*each) for each in pairs(rows)))


def gowalla(folder, rows):
    def line(k, user, item, _):
        return f"{user}\t2010-10-{1 + k % 28:02}T{k % 24:02}:55:27Z\t30.2359091167\t-97.7951395833\t{item}"

    keys = (
        'separator = "\\t"\ncolumns = ["user", "time", "latitude", "longitude", "place"]\nuser = "user"\nitem = "place"\n'
        'time = "time"\ntime_format = "%Y-%m-%dT%H:%M:%SZ"\n'
    )
    return described(folder, "gowalla", keys, (line(*each) for each in pairs(rows)))


def atomic(folder, rows):
    path = folder / "atomic.inter"
    with open(path, "w") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for k, user, item, _ in pairs(rows):
            file.write(f"u{user}\ti{item}\t{k}\n")
    return path


FORMATS = [
    amazon_jsonl,
    amazon_jsonl_gz,
    amazon_csv,
    movielens,
    s3rec,
    kuairec,
    mind,
    fuxictr,
    yelp,
    steam,
    gowalla,
    atomic,
]


def measured(program, path):
    """Seconds, the processors' seconds, and MB at the most."""
    began = time.monotonic()
    child = subprocess.Popen([program, "data", "stats", path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{path}: {said.decode(errors='replace')}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def main():
    program, words = sys.argv[1], sys.argv[2:]
    rows = int(words.pop(0)) if words and words[0].isdigit() else 1_500_000
    chosen = [make for make in FORMATS if not words or make.__name__ in words]
    print(f"{rows} rows, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'format':<16}{'MB':>8}{'s':>8}{'cpu s':>8}{'M rows/s':>10}{'MB at most':>12}")
    for make in chosen:
        with tempfile.TemporaryDirectory() as folder:
            path = make(Path(folder), rows)
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
            runs = [measured(program, path) for _ in range(3)]
        seconds, cpu, memory = (statistics.median(each) for each in zip(*runs))
        print(f"{make.__name__:<16}{size:>8.0f}{seconds:>8.2f}{cpu:>8.2f}{rows / seconds / 1e6:>10.2f}{memory:>12.0f}")


main()
