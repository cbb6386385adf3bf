// What has happened of late, the newest first. A stream that begins anew tells all of it again.

import { byId, mark, say, status, table } from "./page_dom.js";

const KEPT = 200;
const MOST_OF_A_KIND = 40;
const SHOWN_AT_FIRST = 10;
const TONES = { ERROR: "bad", CRITICAL: "bad", WARNING: "warn" };

let began = "";
let all = false;
let known = []; // by number

export function listen() {
  byId("all-events").addEventListener("click", () => {
    all = !all;
    draw();
  });
}

// id: when the service began, and the number of the event.
export function happened(id, told) {
  const service = id.slice(0, id.lastIndexOf("-"));
  if (service !== began) known = [];
  began = service;
  if (known.some((each) => each.number === told.number)) return;
  known = added(known, told);
  draw();
}

// Those that are kept of these and one more, by their numbers, in whatever order they come: as the service does it, of one kind
// only so many.
export function added(events, told) {
  const together = [...events, told].sort((one, other) => one.number - other.number);
  const alike = together.filter((each) => each.event === told.event);
  return (alike.length > MOST_OF_A_KIND ? together.filter((each) => each !== alike[0]) : together).slice(-KEPT);
}

function draw() {
  const newest = [...known].reverse();
  say(byId("events-count"), newest.length ? String(newest.length) : "none yet");
  const button = byId("all-events");
  button.hidden = newest.length <= SHOWN_AT_FIRST;
  say(button, all ? "Show fewer" : `Show all ${newest.length}`);
  mark(button, "aria-expanded", String(all));
  table(byId("events"), COLUMNS, all ? newest : newest.slice(0, SHOWN_AT_FIRST), (told) => told.number);
}

const COLUMNS = [
  ["At", "name", (told) => new Date(told.time).toLocaleTimeString("en-GB")],
  ["What", "", (told) => status(TONES[told.level] || "none", told.event)],
  ["Process", "", (told) => told.process || ""],
  ["About", "text", (told) => told.message || aboutWhat(told)],
];

// Without its text, which may quote a message: see HTTP_SHOW_KEYS.
function aboutWhat(told) {
  const place = told.topic ? `${told.topic}[${told.partition}] offset ${told.offset}` : told.breaker;
  return [place, told.attempt ? `attempt ${told.attempt}` : "", told.error_type].filter(Boolean).join(", ");
}
