"""The test of a single run, and what the run took."""

from model import Figure, Table, number, text
from sources import SLICES

NAME, TITLE = "facts", "At a glance"


def make(source) -> Figure:
    told = source.summary
    tests = [(name, by) for name, by in told["test"].items() if isinstance(by, dict)]
    test = Table(
        f"Test, protocol {told['test'].get('protocol') or ''}",
        ["metric", *SLICES],
        [
            [
                text(name),
                *(number(by.get(part), "d" if isinstance(by.get(part), int) else ".4f") for part in SLICES),
            ]
            for name, by in tests
        ],
    )
    seconds, memory, machine = (told.get(name) or {} for name in ("seconds", "memory", "machine"))
    best = told.get("validation") or {}
    mib = {name: value / (1 << 20) for name, value in memory.items() if value is not None}
    cost = told.get("guidance_cost") or {}
    facts = [
        (f"best {best.get('on', 'validation')}", number(best.get("best")), best.get("monitor", "none was asked for")),
        ("best epoch", number(best.get("best_epoch"), "d"), f"of {told.get('epochs')}"),
        *((f"seconds, {name}", number(value, ".2f"), "") for name, value in seconds.items()),
        ("rows a second", number(told.get("rows_per_s"), ".0f"), "in training"),
        ("peak memory, resident", number(mib.get("peak_resident_bytes"), ".1f"), "MiB"),
        ("peak memory, device", number(mib.get("peak_device_bytes"), ".1f"), "MiB"),
        ("parameters", number(told.get("parameters"), "d"), ""),
        *((f"the judge's {name.replace('_', ' ')}", number(value, "g"), "") for name, value in cost.items()),
        (
            "device",
            text(told.get("device", "–")),
            ", ".join(filter(None, [machine.get("cpu"), machine.get("gpu")])),
        ),
    ]
    run = Table(
        "The run",
        ["what", "value", "unit or place"],
        [[text(name), value, text(where)] for name, value, where in facts],
    )
    return Figure(NAME, TITLE, "", tables=[test, run])
