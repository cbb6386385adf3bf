// Each partition as a line: from what is committed, over what runs, is done beyond and waits here, to what is not fetched.

import { byId, count, make, mark, say, span, status, table } from "./page_dom.js";

const SHOWN_AT_FIRST = 16;
const PARTS = [
  ["running", "running"],
  ["beyond", "done beyond"],
  ["waiting", "waiting"],
  ["lag", "not fetched"],
];
const WAITS = {
  "running": "runs",
  "queued": "waits for a thread",
  "behind-its-key": "behind its key",
  "retry": "waits for a retry",
  "scheduled": "waits for its time",
  "breaker": "breaker is open",
  "sending": "is being stored",
  "unstored": "can't be stored",
  "suspect": "suspect, runs apart",
  "leaving": "leaves with its partition",
  "held": "held",
  "paused": "waits for room",
  "operator": "paused by an operator",
  "undelivered": "not delivered yet",
  "unseen": "on its way",
};

let all = false;
let shown = [];

export function partitionsOf(snapshot) {
  return snapshot.slots.flatMap((slot) => {
    if (!slot.child || !slot.pid) return [];
    return slot.child.partitions.map((partition) => partOf(slot, partition));
  });
}

const nameOf = (place) => `${place.topic}[${place.partition}]`;

function partOf(slot, partition) {
  const running = partition.running;
  const beyond = partition.done_beyond;
  const lag = Math.max(0, partition.lag);
  const waiting = Math.max(0, partition.in_flight - running);
  const tone = partition.held || partition.stalled ? "bad" : partition.paused || partition.pause ? "none" : "ok";
  return {
    name: nameOf(partition), slot, partition, tone, lag, running, beyond, waiting,
    rest: Math.max(0, lag - running - waiting - beyond),
  };
}

export function draw(snapshot) {
  shown = partitionsOf(snapshot).sort(
    (one, other) => (other.tone === "bad") - (one.tone === "bad") || byName(one.partition, other.partition),
  );
  say(byId("partitions-count"), `${shown.length}`);
  const button = byId("all-partitions");
  button.hidden = shown.length <= SHOWN_AT_FIRST;
  say(button, all ? "Show fewer" : `Show all ${shown.length}`);
  mark(button, "aria-expanded", String(all));
  table(byId("partitions"), COLUMNS, all ? shown : shown.slice(0, SHOWN_AT_FIRST), (row) => row.name);
}

const byName = (one, other) => (one.topic < other.topic ? -1 : one.topic > other.topic ? 1 : one.partition - other.partition);

export function listen(redraw) {
  byId("all-partitions").addEventListener("click", () => {
    all = !all;
    redraw();
  });
}

const COLUMNS = [
  ["Partition", "name", (row) => row.name],
  ["State", "", (row) => stateOf(row.tone, row.partition)],
  ["From committed to the end", "map", (row) => bar(row)],
  ["Committed", "number", (row) => count(row.partition.committed)],
  ["Running", "number", (row) => count(row.running)],
  ["Beyond", "number", (row) => count(row.beyond)],
  ["Waiting", "number", (row) => count(row.waiting)],
  ["Lag", "number", (row) => row.partition.lag < 0 ? "?" : count(row.lag)],
  ["Behind", "number", (row) => span(row.partition.lag_seconds)],
  ["First not done", "text", (row) => headOf(row.partition.head)],
  ["Slot", "number", (row) => String(row.slot.slot)],
];

function stateOf(tone, partition) {
  const word = partition.held ? "held" : partition.stalled ? "stalled" : partition.paused || partition.pause ? "paused" : "flows";
  const fill = status(tone, word);
  return (cell) => {
    fill(cell);
    const room = partition.paused ? "for room: it has its share in flight" : "";
    mark(cell, "title", partition.held || partition.stalled || partition.pause || room);
  };
}

export function headOf(head) {
  if (!head) return "";
  const since = head.running >= 0 ? head.running : head.seconds;
  const attempt = head.attempt > 1 ? `, attempt ${head.attempt}` : "";
  const offset = head.offset < 0 ? "?" : head.offset;
  return `${offset} ${WAITS[head.waits] || head.waits}, ${span(since)}${attempt}${head.why ? `: ${head.why}` : ""}`;
}

function bar(row) {
  return (cell) => {
    if (!cell.firstChild) {
      const line = make("div", "bar");
      line.append(...PARTS.map(([kind]) => make("i", `part ${kind}`)));
      mark(line, "role", "img");
      cell.append(line);
    }
    const counts = [row.running, row.beyond, row.waiting, row.rest];
    counts.forEach((number, place) => {
      const part = cell.firstChild.children[place];
      part.style.flexGrow = String(Math.log2(1 + number));
      part.hidden = !number;
    });
    const words = PARTS.map(([, word], place) => `${counts[place]} ${word}`).join(", ");
    mark(cell.firstChild, "aria-label", row.partition.lag < 0 ? "lag not known" : row.lag || row.running || row.waiting ? words : "all is done");
    mark(cell.firstChild, "title", words);
  };
}
