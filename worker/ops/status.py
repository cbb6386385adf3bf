"""What counts as healthy, and the snapshot as text for a person in a hurry. Pure."""

from __future__ import annotations

from typing import Any, Dict, List

from kafka_worker.shared.ipc.health import MEGABYTE, totals

#: Of a child that has not reported.
NOTHING_YET: Dict[str, Any] = {
    "done": 0, "rate": 0.0, "partitions": [], "stage": "", "joined": False, "threads": 0, "rss": 0,
}  # fmt: skip


def text(snapshot: Dict[str, Any]) -> str:
    """The answer to `supervisor.py status`."""
    sums = totals(snapshot["slots"])
    lines = [
        "%s  %s, up %s, group %s on %s, topics %s"
        % (
            "DEGRADED" if snapshot["problems"] else "HEALTHY", snapshot["state"], _duration(snapshot["uptime"]),
            snapshot["group"], snapshot["host"], ", ".join(snapshot["topics"]),
        ),
        "%d processes x %s threads, handler %s, ordering %s, membership %s; restarts %d"
        % (
            snapshot["processes"], _threads(snapshot), snapshot["handler"], snapshot["ordering"],
            snapshot["membership"], snapshot["restarts"],
        ),
        "lag %d, in flight %d, done %d (%.1f per second), failed attempts %d, waiting for a retry %d, dead letters %d"
        % tuple(sums[name] for name in ("lag", "in_flight", "done", "rate", "failed", "retrying", "dead_letters")),
    ]  # fmt: skip
    if sums["suspects"]:
        lines.append("suspects %d: ran when a process died, and are run apart, each alone" % sums["suspects"])
    lines += ["  problem: " + problem for problem in snapshot["problems"]]
    lines += ["  to be recycled: " + wish for wish in _to_be_recycled(snapshot["slots"])]
    lines += ["", *_slot_table(snapshot["slots"]), "", *_task_table(snapshot["slots"])]
    return "\n".join(lines)


def _threads(snapshot: Dict[str, Any]) -> str:
    lowest, highest = snapshot["threads"], snapshot["threads_max"]
    return str(lowest) if lowest >= highest else "%d to %d" % (lowest, highest)


def _to_be_recycled(slots: List[Dict[str, Any]]) -> List[str]:
    wishing = [(slot["slot"], slot["child"]["renew"]) for slot in slots if slot["child"] and slot["pid"]]
    return ["slot %d: %s" % wish for wish in wishing if wish[1]]


def _slot_table(slots: List[Dict[str, Any]]) -> List[str]:
    rows = [
        (
            "SLOT",
            "PID",
            "STATE",
            "UP",
            "THREADS",
            "RSS MB",
            "DONE",
            "PER SECOND",
            "IN FLIGHT",
            "LAG",
            "RESTARTS",
            "LAST EXIT",
            "PARTITIONS",
        )
    ]
    for slot in slots:
        child = slot["child"] or NOTHING_YET
        partitions = child["partitions"]
        rows.append(
            (
                str(slot["slot"]), str(slot["pid"] or "-"), _stage(slot, child), _duration(slot["uptime"]),
                str(child["threads"]), "%.0f" % (child["rss"] / MEGABYTE), str(child["done"]),
                "%.1f" % child["rate"], str(sum(p["in_flight"] for p in partitions)), str(sum(max(0, p["lag"]) for p in
                partitions)), str(slot["restarts"]), slot["last_exit"] or "-", _listed(partitions),
            )
        )  # fmt: skip
    return _aligned(rows)


def _stage(slot: Dict[str, Any], child: Dict[str, Any]) -> str:
    if slot["state"] != "running":
        return str(slot["state"])
    return "joining" if child["stage"] == "consuming" and not child["joined"] else str(child["stage"])


def _listed(partitions: List[Dict[str, Any]]) -> str:
    marks = sorted((p["topic"], p["partition"], _mark(p)) for p in partitions)
    return " ".join("%s[%d]%s" % mark for mark in marks) or "-"


def _mark(partition: Dict[str, Any]) -> str:
    return "(held)" if partition["held"] else "(paused)" if partition["paused"] else ""


def _task_table(slots: List[Dict[str, Any]]) -> List[str]:
    running = [
        (task["seconds"], slot, task) for slot in slots if slot["child"] and slot["pid"] for task in slot["child"]["tasks"]
    ]
    if not running:
        return ["no task runs now"]
    rows = [("RUNNING FOR", "TASK", "KEY", "ATTEMPT", "SLOT", "PID", "THREAD")]
    for seconds, slot, task in sorted(running, key=lambda row: -row[0])[:10]:
        rows.append(
            (
                _duration(seconds), "%s[%d] offset %d" % (task["topic"], task["partition"], task["offset"]),
                task["key"] or "-", str(task["attempt"]), str(slot["slot"]), str(slot["pid"]), task["thread"],
            )
        )  # fmt: skip
    return _aligned(rows)


def _aligned(rows: List[Any]) -> List[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _duration(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004
        return "%.1fs" % seconds
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return "%dh%02dm" % (hours, minutes) if hours else "%dm%02ds" % (minutes, rest)
