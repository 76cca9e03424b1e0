"""Mean ranks of the methods over the cells, and which are too near each other to tell apart (Demsar, 2006)."""

import numpy as np

from chart import MUTED, tip
from inference import ALPHA, critical_difference
from model import Figure, Missing, Panel, Table, mean, number, text

NAME, TITLE = "ranks", "Critical differences"
_LEAST = 3  # of blocks, and of methods


def _blocks(source) -> tuple[list[str], list[str], np.ndarray, list[str]]:
    """(blocks, methods, mean figure [blocks, methods], what was left out) of the methods that every block has; a block is
    a column of one backbone."""
    part = source.first_slice()
    prefixes = source.prefixes()
    means: dict[str, dict[str, float]] = {}
    for column in source.columns:
        for row in source.rows:
            backbone, method = prefixes.get(row, ("", row))
            if told := source.at(row, column, source.metric, part):
                means.setdefault(f"{backbone} {column}".strip(), {})[method] = mean([*told.values()])
    methods = list(dict.fromkeys(method for block in means.values() for method in block))
    blocks = [block for block, found in means.items() if len(found) > 1]
    lacking = {method: [block for block in blocks if method not in means[block]] for method in methods}
    methods = [method for method in methods if not lacking[method]]
    left = [f"{method} (not in {', '.join(of)})" for method, of in lacking.items() if of]
    left += [f"the cell {block} (of one method)" for block in means if block not in blocks]
    return blocks, methods, np.array([[means[block][method] for method in methods] for block in blocks]), left


def _cliques(ranks: list[float], difference: float) -> list[tuple[int, int]]:
    """Longest runs of sorted ranks within the difference, (first, last)."""
    found: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = max(k for k in range(first, len(ranks)) if ranks[k] - ranks[first] <= difference)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def _spec(ordered, cliques, difference, n):
    values = [
        {"row": name, "rank": rank, "y": k, "top": -1.4, "tip": f"{name}: mean rank {rank:.2f}"}
        for k, (name, rank) in enumerate(ordered)
    ]
    ranks = [rank for _, rank in ordered]
    bars = [
        {
            "low": ranks[first] - 0.03,
            "high": ranks[last] + 0.03,
            "y": n + 0.1 + 0.55 * k,
            "tip": ", ".join(name for name, _ in ordered[first : last + 1]),
        }
        for k, (first, last) in enumerate(cliques)
    ]
    scale = {"domain": [1, n], "nice": False}
    x = {
        "type": "quantitative",
        "title": "mean rank (1 is best)",
        "scale": scale,
        "axis": {"orient": "top", "tickMinStep": 1, "format": "d"},
    }
    y = {
        "field": "y",
        "type": "quantitative",
        "axis": None,
        "scale": {"reverse": True, "domain": [-1.4, n + 0.6 * len(bars)]},
    }
    ruler = [{"low": 1, "high": min(1 + difference, n), "y": -0.9}]
    return {
        "data": {"values": values},
        "width": 520,
        "height": 26 * (n + 2) + 16 * len(bars),
        "layer": [
            {
                "mark": {"type": "rule", "color": MUTED, "strokeDash": [2, 3]},
                "encoding": {"x": x | {"field": "rank"}, "y": y | {"field": "top"}, "y2": {"field": "y"}},
            },
            {
                "mark": {"type": "point", "size": 90, "filled": True},
                "encoding": {"x": x | {"field": "rank"}, "y": y, **tip()},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 10, "baseline": "middle"},
                "encoding": {"x": x | {"field": "rank"}, "y": y, "text": {"field": "row"}},
            },
            {
                "data": {"values": bars},
                "mark": {"type": "rule", "strokeWidth": 5, "color": "var(--s1)"},
                "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}, "y": y, **tip()},
            },
            {
                "data": {"values": ruler},
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}, "y": y},
            },
            {
                "data": {"values": ruler},
                "mark": {
                    "type": "text",
                    "align": "left",
                    "dx": 8,
                    "baseline": "middle",
                    "text": f"critical difference {difference:.2f}",
                },
                "encoding": {"x": x | {"field": "high"}, "y": y},
            },
        ],
    }


def make(source) -> Figure:
    direction = source.direction()
    if direction is None:
        raise Missing(f"which way {source.metric} is better is not known")
    blocks, methods, values, left = _blocks(source)
    if len(blocks) < _LEAST or len(methods) < _LEAST:
        raise Missing(
            f"it takes {_LEAST} methods in {_LEAST} cells or more (backbone x column) with all of them; here {len(methods)} in {len(blocks)}"
            + (f"; without {'; '.join(left)}" if left else "")
        )
    ranks, difference, p = critical_difference(direction * values)
    order = np.argsort(ranks, kind="stable")
    ordered = [(methods[k], float(ranks[k])) for k in order]
    cliques = _cliques([rank for _, rank in ordered], difference)
    groups = ["; ".join(name for name, _ in ordered[first : last + 1]) for first, last in cliques]
    description = (
        f"Mean ranks over {len(blocks)} cells: "
        + ", ".join(f"{name} {rank:.2f}" for name, rank in ordered)
        + "."
    )
    rows = [
        [text(name), number(rank, ".2f"), number(float(values[:, k].mean()))]
        for k, (name, rank) in zip(order, ordered, strict=True)
    ]
    table = Table(
        f"Mean ranks over {len(blocks)} cells", ["method", "mean rank", f"mean {source.metric}"], rows
    )
    notes = [
        f"Friedman's test that all are alike: p = {p:.4f}. Nemenyi's critical difference at {ALPHA}: {difference:.2f}; a thick bar joins "
        "methods whose ranks are no further apart"
        + (f": {' | '.join(groups)}." if groups else "; here none."),
        f"{'Higher' if direction > 0 else 'Lower'} is better. "
        "A cell is ranked by its mean over seeds. Cells of one data set depend on each other, which the test does not know; "
        "with few cells it finds little.",
    ]
    if left:
        notes.append(f"Left out of the ranks: {'; '.join(left)}.")
    counts = {
        len(at)
        for (_, _, metric, part), at in source.values.items()
        if (metric, part) == (source.metric, source.first_slice())
    }
    if len(counts) > 1:
        notes.append(f"Cells are means of {min(counts)} to {max(counts)} seeds, which the ranks do not know.")
    caption = f"Over {len(blocks)} cells: {', '.join(blocks)}."
    return Figure(
        NAME,
        TITLE,
        caption,
        [Panel("", _spec(ordered, cliques, difference, len(methods)), description)],
        [table],
        notes,
    )
