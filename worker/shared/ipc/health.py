"""What counts as healthy, and the sums over all processes. Pure."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List

MEGABYTE = 1_000_000
LONGEST_POLL_AGE = 5.0  # seconds; the loop turns ten times a second


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
