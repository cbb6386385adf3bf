"""What counts as healthy, and the snapshot as text for a person in a hurry. Pure."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List

MEGABYTE = 1_000_000
LONGEST_POLL_AGE = 5.0  # seconds; the loop turns ten times a second

#: Of a child that has not reported.
NOTHING_YET: Dict[str, Any] = {
    "done": 0, "rate": 0.0, "partitions": [], "stage": "", "joined": False, "threads": 0, "rss": 0,
}  # fmt: skip


def problems(state: str, slots: Iterable[Dict[str, Any]]) -> List[str]:
    """Why the service is not well, one line each; none: healthy."""
    found = [] if state == "running" else ["the supervisor is %s" % state]
    for slot in slots:
        found += ["slot %d: %s" % (slot["slot"], problem) for problem in _of_slot(slot)]
    return found


def _of_slot(slot: Dict[str, Any]) -> List[str]:
    child = slot["child"]
    if not slot["pid"]:
        return ["no process, next start in %.1f s (last: %s)" % (max(0.0, slot["restart_in"]), slot["last_exit"])]
    if slot["state"] != "running" or child is None:
        if slot["successor_pid"] and slot["state"] == "stopping":
            return []  # it is being replaced, and its work goes on in a moment
        return ["process %d is %s" % (slot["pid"], slot["state"])]
    conditions = {
        "no heartbeat for %.1f s" % slot["heartbeat_age"]: slot["heartbeat_age"] > LONGEST_POLL_AGE,
        "its poll loop has not turned for %.1f s" % child["poll_age"]: child["poll_age"] > LONGEST_POLL_AGE,
        "no broker answers": child["broker_away"],
        "waits for the slot's former process to end": child["stage"] == "waiting",
        "not in the group yet": child["stage"] == "consuming" and not child["joined"],
        "uses more than its share of MEMORY_LIMIT right after its start: %d MB" % (child["rss"] / MEGABYTE): child[
            "oversized"
        ],
        child["trouble"]: bool(child["trouble"]),
        "%d dead letters can't be stored" % child["dead_letters_waiting"]: child["dead_letters_waiting"] > 0,
    }
    more = _held(child["partitions"]) + _breakers(child["breakers"])
    return [text for text, holds in conditions.items() if holds] + more


def _held(partitions: Iterable[Dict[str, Any]]) -> List[str]:
    """One line for all of them: what holds one holds many, as a rule."""
    held = sorted(("%s[%d]" % (p["topic"], p["partition"]), p["held"]) for p in partitions if p["held"])
    if not held:
        return []
    more = " and %d more" % (len(held) - 1) if held[1:] else ""
    return ["%s%s held: %s" % (held[0][0], more + " are" if more else " is", held[0][1])]


def _breakers(reports: Iterable[Dict[str, Any]]) -> List[str]:
    return [
        "circuit breaker of %s is %s for %.1f s (share %.2f of %d calls failed)%s"
        % (
            breaker["name"], breaker["state"], breaker["seconds_in_state"], breaker["failed_share"], breaker["calls"],
            ", next probe in %.1f s" % breaker["probe_in"] if breaker["probe_in"] >= 0 else "",
        )
        for breaker in reports
        if breaker["state"] != "closed"
    ]  # fmt: skip


def totals(slots: Iterable[Dict[str, Any]]) -> Dict[str, Any]:
    """Sums over the children that report: running, done, failed, in flight, lag, …"""
    children = [slot["child"] for slot in slots if slot["child"] and slot["pid"]]
    partitions = [partition for child in children for partition in child["partitions"]]
    summed = {
        name: sum(child[name] for child in children)
        for name in ("done", "rate", "failed", "retrying", "dead_letters", "suspects")
    }
    summed["in_flight"] = sum(partition["in_flight"] for partition in partitions)
    summed["lag"] = sum(max(0, partition["lag"]) for partition in partitions)
    summed["partitions"] = len(partitions)
    summed["running"] = sum(1 for slot in slots if slot["state"] == "running")
    return summed


def one_line(snapshot: Dict[str, Any]) -> str:
    """For systemd's status line."""
    sums = totals(snapshot["slots"])
    return "%s: %d/%d processes, %d partitions, lag %d, in flight %d, restarts %d%s" % (
        snapshot["state"], sums["running"], snapshot["processes"], sums["partitions"], sums["lag"], sums["in_flight"],
        snapshot["restarts"], "; degraded: " + snapshot["problems"][0] if snapshot["problems"] else "",
    )  # fmt: skip


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
    lines += ["  to be renewed: " + wish for wish in _renewals(snapshot["slots"])]
    lines += ["", *_slot_table(snapshot["slots"]), "", *_task_table(snapshot["slots"])]
    return "\n".join(lines)


def _threads(snapshot: Dict[str, Any]) -> str:
    lowest, highest = snapshot["threads"], snapshot["threads_max"]
    return str(lowest) if lowest >= highest else "%d to %d" % (lowest, highest)


def _renewals(slots: List[Dict[str, Any]]) -> List[str]:
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
