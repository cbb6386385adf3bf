// The page: what the supervisor's newest snapshot says, as it comes.

import * as charts from "./page_charts.js";
import { byId, changeCommand, command, count, keep, make, mark, rate, say, share, span, status, table } from "./page_dom.js";
import * as events from "./page_events.js";
import { Live } from "./page_live.js";
import * as map from "./page_map.js";
import { explain, LIST_LETTERS, REPLAY_LETTERS, remedy } from "./page_remedies.js";

const MOST_TASKS = 10;
const LONG_SECONDS = 600;

let shown = null;

function show(snapshot) {
  shown = snapshot;
  showService(snapshot);
  showNumbers(snapshot);
  showProblems(snapshot);
  map.draw(snapshot);
  showSlots(snapshot);
  showTasks(snapshot);
  showLetters(snapshot.totals);
}

function showService(snapshot) {
  const problems = snapshot.conditions.length;
  const word = problems ? `degraded: ${problems} ${problems === 1 ? "problem" : "problems"}` : "healthy";
  say(byId("group"), snapshot.group);
  const threads = snapshot.threads_max > snapshot.threads ? `${snapshot.threads} to ${snapshot.threads_max}` : snapshot.threads;
  const topics = snapshot.topics.join(", ");
  say(
    byId("what"),
    `${snapshot.host} · ${snapshot.state} · up ${span(snapshot.uptime)} · ${snapshot.processes} × ${threads} threads · ` +
      `${topics} → ${snapshot.handler} · order by ${snapshot.ordering} · ${snapshot.membership}`,
  );
  mark(byId("health"), "data-tone", problems ? "bad" : "ok");
  say(byId("health"), word);
  say(byId("said"), `${snapshot.group} is ${word}`);
}

function showNumbers(snapshot) {
  const totals = snapshot.totals;
  const numbers = [
    ["done a second", rate(totals.rate)],
    ["lag", count(totals.lag) + (totals.lag_unknown ? "+?" : "")],
    ["behind", span(totals.lag_seconds)],
    ["handler p95", span(charts.newest("p95"))],
    ["utilisation", share(snapshot.utilization)],
    ["in flight", count(totals.in_flight)],
    ["to be retried", count(totals.retrying)],
    ["suspects", count(totals.suspects), totals.suspects ? "warn" : ""],
    ["dead letters", count(totals.dead_letters), totals.dead_letters_waiting ? "bad" : ""],
    ["restarts", count(snapshot.restarts)],
  ];
  const create = ([title]) => {
    const box = make("div");
    box.append(make("dt", "", title), make("dd"));
    return box;
  };
  keep(byId("numbers"), numbers, ([title]) => title, create, (box, [, value, tone]) => {
    say(box.lastChild, value);
    mark(box, "data-tone", tone || "");
  });
}

function showProblems(snapshot) {
  const slots = new Map(snapshot.slots.map((slot) => [slot.slot, slot]));
  byId("no-problem").hidden = snapshot.conditions.length > 0;
  mark(byId("problems-panel"), "data-tone", snapshot.conditions.length ? "bad" : "");
  const keyOf = (condition) => `${condition.kind} ${condition.slot}`;
  const create = () => {
    const item = make("li");
    item.append(make("strong", "kind"), make("p", "text"), make("p", "muted"), command(""));
    return item;
  };
  keep(byId("problems"), snapshot.conditions, keyOf, create, (item, condition) => {
    const slot = slots.get(condition.slot);
    const cure = remedy(condition.kind, snapshot, slot);
    const [kind, text, what, line] = item.children;
    say(kind, condition.kind);
    say(text, condition.text);
    say(what, cure.text);
    changeCommand(line, cure.line);
  });
}

function stateOf(slot) {
  if (!slot.pid) return status("bad", slot.restart_in >= 0 ? `starts in ${span(slot.restart_in)}` : "no process");
  if (slot.state !== "running" || !slot.child) return status("warn", slot.state);
  const well = slot.child.joined && !slot.child.broker_away && !slot.child.trouble;
  const word = slot.child.broker_away ? "no broker" : slot.child.trouble ? "trouble" : slot.child.stage;
  return status(well && slot.child.stage === "consuming" ? "ok" : "warn", word);
}

function reasonsOf(slot) {
  const reasons = Object.entries(slot.restart_reasons).map(([reason, times]) => `${reason} ${times}`);
  return [...reasons, ...(slot.last_exit ? [`last: ${slot.last_exit}`] : [])].join(", ");
}

const of = (read, write) => (slot) => (slot.child && slot.pid ? write(read(slot.child)) : "–");

const SLOT_COLUMNS = [
  ["Slot", "", (slot) => String(slot.slot)],
  ["State", "", stateOf],
  ["Process", "number", (slot) => (slot.pid ? String(slot.pid) : "–")],
  ["Up", "number", (slot) => (slot.pid ? span(slot.uptime) : "–")],
  ["Heard", "number", (slot) => (slot.pid ? span(slot.heartbeat_age) : "–")],
  ["Partitions", "number", of((child) => child.partitions.length, count)],
  ["Threads", "number", of((child) => child.threads, count)],
  ["In flight", "number", of((child) => child.in_flight, count)],
  ["A second", "number", of((child) => child.rate, rate)],
  ["Done", "number", of((child) => child.done, count)],
  ["Failed", "number", of((child) => child.failed, count)],
  ["MB", "number", of((child) => child.rss / 1e6, count)],
  ["Restarts", "number", (slot) => count(slot.restarts)],
  ["Why", "text", reasonsOf],
];

function showSlots(snapshot) {
  say(byId("slots-count"), String(snapshot.slots.length));
  table(byId("slots"), SLOT_COLUMNS, snapshot.slots, (slot) => slot.slot);
}

const TASK_COLUMNS = [
  ["Message", "name", ({ task }) => `${task.topic}[${task.partition}] ${task.offset}${task.void ? ` (${task.void})` : ""}`],
  ["For", "number", ({ task }) => (task.seconds >= LONG_SECONDS ? status("warn", span(task.seconds)) : span(task.seconds))],
  ["Attempt", "number", ({ task }) => String(task.attempt)],
  ["Key", "text", ({ task }) => (task.key === null ? "–" : task.key)],
  ["Where", "text", ({ slot, task }) => `slot ${slot.slot}, ${task.thread}`],
];

function showTasks(snapshot) {
  const running = snapshot.slots.flatMap((slot) => (slot.child && slot.pid ? slot.child.tasks.map((task) => ({ slot, task })) : []));
  const isVoid = ({ task }) => (task.void ? 1 : 0); // of these nothing comes any more, and nothing waits for them
  running.sort((one, other) => isVoid(one) - isVoid(other) || other.task.seconds - one.task.seconds);
  const oldest = running.slice(0, MOST_TASKS);
  say(byId("tasks-count"), running.length > MOST_TASKS ? `${MOST_TASKS} of ${running.length} that run` : `${running.length} run`);
  table(byId("tasks"), TASK_COLUMNS, oldest, ({ slot, task }) => `${task.topic} ${task.partition} ${task.offset} ${slot.slot} ${task.thread}`);
  showCommands(byId("task-command"), oldest.slice(0, 1).map(({ task }) => explain(task, task.offset)));
}

function showLetters(totals) {
  const facts = [
    ["written since the service began", count(totals.dead_letters)],
    ["not stored yet", count(totals.dead_letters_waiting)],
    ["attempts failed", count(totals.failed)],
  ];
  const create = ([title]) => {
    const box = make("div");
    box.append(make("dt", "", title), make("dd"));
    return box;
  };
  keep(byId("letters"), facts, ([title]) => title, create, (box, [, value]) => say(box.lastChild, value));
  showCommands(byId("letter-commands"), [LIST_LETTERS, REPLAY_LETTERS]);
}

function showCommands(list, lines) {
  const create = () => {
    const item = make("li");
    item.append(command(""));
    return item;
  };
  keep(list, [...lines.entries()], ([place]) => place, create, (item, [, line]) => changeCommand(item.firstChild, line));
}

const LIVE = {
  live: ["ok", "live"],
  connecting: ["none", "connecting"],
  paused: ["none", "paused"],
  old: ["bad", "not live"],
};

function showState(state, age, why) {
  const [tone, word] = LIVE[state];
  mark(document.body, "data-state", state);
  mark(byId("live"), "data-tone", tone);
  say(byId("live"), word);
  say(byId("age"), age === null ? "" : `${span(Math.round(age))} ago`);
  const old = byId("old");
  old.hidden = state !== "old";
  if (state === "old") {
    const since = age === null ? "Nothing was heard of the supervisor yet." : "This is old: what you see is not what is.";
    say(old, why ? `${since} ${why[0].toUpperCase()}${why.slice(1)}.` : since);
  }
  const problems = shown ? shown.conditions.length : 0;
  const known = problems ? `▲ ${problems}` : "●";
  const sign = state === "live" ? known : `? ${word}`; // it is all that is seen of a page in the background
  document.title = `${sign} ${shown ? shown.group : "Kafka worker"}`;
}

map.listen(() => shown && map.draw(shown));
events.listen();
charts.begin();
new Live(show, events.happened, showState);
