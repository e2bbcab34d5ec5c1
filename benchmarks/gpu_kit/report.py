"""The kit's results as markdown tables."""

from collections.abc import Iterable, Sequence
from typing import Any

from envs import FRAMES_PER_STEP

Results = Sequence[dict[str, Any]]


def markdown(results: Results) -> str:
    """All that was found, step by step; what is missing was not reached or failed."""
    parts = (_machine, _steps, _speed, _peers, _checkpoint, _curve, _trace)
    return "\n\n".join(text for part in parts if (text := part(results)))


def _of(results: Results, kind: str) -> list[dict[str, Any]]:
    return [row for row in results if row["kind"] == kind]


def _table(columns: str, rows: Iterable[Sequence[object]]) -> str:
    """A table of `|`-separated column names; empty without rows."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    head = [f"| {columns} |", "|" + "---|" * (columns.count("|") + 1)]
    return "\n".join([*head, *lines]) if lines else ""


def _machine(results: Results) -> str:
    facts = (f"{k} {v}" for row in _of(results, "machine") for k, v in row.items() if k != "kind")
    return ", ".join(facts)


def _steps(results: Results) -> str:
    found = (
        "GPU tests: " + ", ".join(f"{n} {what}" for what, n in row.items() if what != "kind") + "."
        for row in _of(results, "tests")
    )
    table = _table(
        "step | ended | seconds",
        ((row["name"], row["end"], row["seconds"]) for row in _of(results, "step")),
    )
    return "\n\n".join(text for text in (table, *found) if text)


def _speed(results: Results) -> str:
    rows = _of(results, "speed")
    alone = {
        (r["num_envs"], r["encoder"], r["compile"]): r.get("agent_steps_per_s")
        for r in rows
        if r["aux"] == "none"
    }

    def cells(r: dict[str, Any]) -> tuple[object, ...]:
        what = r["num_envs"], r["encoder"], "yes" if r["compile"] else "no", r["aux"]
        if "error" in r:
            return (*what, r["error"], "", "", "", "", "", "")
        steps = r["agent_steps_per_s"]
        base = alone.get((r["num_envs"], r["encoder"], r["compile"]))
        cost = f"{100 * (base / steps - 1):.1f} %" if base and r["aux"] == "cpc" else ""
        speed = f"{steps:,}", f"{FRAMES_PER_STEP * steps:,}", cost
        return (*what, *speed, r["collect_ms"], r["update_ms"], r.get("gpu_mib", ""), r["ready_s"])

    columns = (
        "environments | encoder | agent.compile | aux | agent steps/s | frames/s | CPC costs | "
        "rollout, ms | update, ms | GPU memory, MiB | ready after, s"
    )
    return _table(columns, map(cells, rows))


def _peers(results: Results) -> str:
    rows = (
        (
            r["num_envs"],
            r["agent"],
            r["what"],
            f"{r['agent_steps_per_s']:,.0f}",
            f"{r['ours_is_times_as_fast']:.2f} times",
        )
        for r in _of(results, "peer")
    )
    return _table("environments | agent | memory | agent steps/s | ours is", rows)


def _checkpoint(results: Results) -> str:
    rows = _of(results, "checkpoint")
    trips = (f"to {r['to']}: {len(r['changed'])} of {r['tensors']} tensors changed" for r in rows)
    return f"Checkpoint {'; '.join(trips)}." if rows else ""


def _curve(results: Results) -> str:
    runs = _of(results, "learn")
    rows = _of(results, "curve")
    said = [
        f"Run on the GPU, {'finished' if r['finished'] else 'cut off'} at {r['frames']:,.0f} "
        f"frames, agent.compile={r['compile']}: {sum(row['inside'] for row in rows)} of "
        f"{len(rows)} tenths lie where another CPU seed would with 95 % probability."
        for r in runs
    ]
    table = _table(
        "to frames | return on the GPU | CPU seeds, mean | another seed, 95 % | inside",
        (
            (
                f"{r['frames_to']:,.0f}",
                f"{r['gpu']:.2f}",
                f"{r['cpu']:.2f}",
                f"{r['low']:.2f} to {r['high']:.2f}",
                "yes" if r["inside"] else "NO",
            )
            for r in rows
        ),
    )
    return "\n\n".join(text for text in (*said, table) if text)


def _trace(results: Results) -> str:
    parts = []
    for r in _of(results, "trace"):
        parts.append(
            f"One rollout and update of {r['num_envs']} environments under the profiler: "
            f"{r['wall_ms']} ms, of which the device was busy {r['busy_ms']} ms with "
            f"{r['launches']:,} operations (trace.json.gz, for ui.perfetto.dev)."
        )
        parts.append(_table("operation | ms | times", r["longest"]))
    return "\n\n".join(parts)
