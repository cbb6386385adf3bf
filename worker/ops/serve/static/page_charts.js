// The last hour, drawn by uPlot, each chart with a table beside it that says the same.

import { byId, clock, count, make, mark, rate, say, share, span, table } from "./page_dom.js";

const EACH_SECONDS = 10;
const HEIGHT = 150;
const ROW_SECONDS = 60;
const SHORTEST_SECONDS = 300;
const GAP_SECONDS = 15; // between two points: then nothing was seen in between

// Of each line: the number's name in the history, its title, how it is written, and what several are to be summed up as.
const CHARTS = [
  {
    title: "Throughput", unit: "a second", write: rate,
    lines: [["done_per_second", "done"], ["failed_per_second", "failed attempts"]],
  },
  { title: "Lag", unit: "messages", write: count, worst: true, lines: [["lag_messages", "messages"]] },
  { title: "Behind", unit: "oldest not done", optional: true, write: span, worst: true, lines: [["lag_seconds", "behind"]] },
  {
    title: "Handler time", unit: "of calls", write: span, worst: true, logarithmic: true,
    lines: [["p50", "p50"], ["p95", "p95"], ["p99", "p99"]],
  },
  { title: "Utilisation", unit: "of threads", write: share, most: 1, lines: [["utilization", "busy"]] },
];
const COLOURS = ["--line-1", "--line-2", "--line-3"];
const DASHES = [[], [6, 4], [2, 3]];

const drawn = [];
let history = null;

export function begin() {
  CHARTS.forEach((chart) => drawn.push(new Drawn(chart)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((each) => each.again()));
  setInterval(ask, EACH_SECONDS * 1000);
  document.addEventListener("visibilitychange", ask);
  ask();
}

async function ask() {
  if (document.hidden) return;
  try {
    const answer = await fetch("api/v1/history", { signal: AbortSignal.timeout(EACH_SECONDS * 1000) });
    if (!answer.ok) return;
    history = withGaps(await answer.json());
    drawn.forEach((each) => each.show());
  } catch {
    // That nothing comes is told by what tells of the snapshot.
  }
}

// Where nothing was seen for a while a line has to end: a straight one would tell what nobody knows.
function withGaps(told) {
  const names = ["at", ...CHARTS.flatMap((chart) => chart.lines.map(([name]) => name))];
  const result = Object.fromEntries(names.map((name) => [name, []]));
  told.at.forEach((at, place) => {
    if (place && at - told.at[place - 1] > GAP_SECONDS) {
      names.forEach((name) => result[name].push(name === "at" ? at - 1 : null));
    }
    names.forEach((name) => result[name].push(told[name][place]));
  });
  return result;
}

export function newest(name) {
  return history && history.at.length ? history[name][history.at.length - 1] : null;
}

// Which points no line leads to or from: without a dot they would not be seen.
function alone(plot, line) {
  const values = plot.data[line];
  const isGap = (place) => values[place] === null || values[place] === undefined;
  return [...values.keys()].filter((place) => !isGap(place) && isGap(place - 1) && isGap(place + 1));
}

class Drawn {
  constructor(chart) {
    this.chart = chart;
    this.figure = make("figure", "panel chart");
    this.build();
    byId("charts").append(this.figure);
    new ResizeObserver(() => this.resize()).observe(this.plot);
  }

  build() {
    const caption = make("figcaption");
    const title = make("h3", "", this.chart.title);
    title.append(" ", make("span", "muted", this.chart.unit));
    this.button = make("button", "quiet", "Table");
    this.button.type = "button";
    mark(this.button, "aria-label", `${this.chart.title}: as a table`);
    mark(this.button, "aria-pressed", "false");
    this.button.addEventListener("click", () => this.turn());
    caption.append(title, this.button);
    this.plot = make("div", "plot");
    mark(this.plot, "role", "img");
    this.rows = make("div", "rows");
    mark(this.rows, "role", "region");
    mark(this.rows, "aria-label", `${this.chart.title}, minute by minute`);
    this.rows.tabIndex = 0;
    this.rows.hidden = true;
    this.rows.append(make("table"));
    this.figure.append(caption, this.plot, this.rows);
  }

  turn() {
    const asTable = this.rows.hidden;
    this.rows.hidden = !asTable;
    this.plot.hidden = asTable;
    mark(this.button, "aria-pressed", String(asTable));
    this.show();
  }

  show() {
    if (!history) return;
    this.figure.hidden = Boolean(this.chart.optional) && !this.isKnown();
    mark(this.plot, "aria-label", this.summary());
    if (!this.rows.hidden) this.tabulate();
    else if (this.lines) this.lines.setData(this.data());
    else this.draw();
  }

  isKnown() {
    return this.chart.lines.some(([name]) => history[name].some((value) => value !== null));
  }

  again() {
    if (this.lines) this.lines.destroy();
    this.lines = null;
    this.show();
  }

  resize() {
    const width = Math.floor(this.plot.clientWidth);
    if (this.lines && width) this.lines.setSize({ width, height: HEIGHT });
    else if (width) this.show();
  }

  data() {
    // A logarithm has no zero.
    const clean = (value) => (this.chart.logarithmic && !(value > 0) ? null : value);
    return [history.at, ...this.chart.lines.map(([name]) => history[name].map(clean))];
  }

  draw() {
    const width = Math.floor(this.plot.clientWidth);
    if (!width || !history.at.length) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const { write, most, logarithmic, lines } = this.chart;
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    this.lines = new uPlot(
      {
        width, height: HEIGHT,
        cursor: { drag: { x: false, y: false }, sync: { key: "hour" }, points: { size: 5 } },
        legend: { live: true },
        scales: {
          x: { range: (_, least, last) => [Math.min(least, last - SHORTEST_SECONDS), last] },
          y: logarithmic ? { distr: 3 } : { range: (_, least, highest) => [0, most || Math.max(1, highest * 1.1)] },
        },
        axes: [
          { ...axis, size: 24, space: 60, values: (_, times) => times.map((at) => clock(at).slice(0, 5)) },
          { ...axis, size: 54, space: 28, values: (_, values) => values.map((value) => (value === null ? "" : write(value))) },
        ],
        series: [
          { label: "at", value: (_, at) => (at === null ? "" : clock(at)) },
          ...lines.map(([name, label], place) => ({
            label, stroke: colour(COLOURS[place]), width: 1.5, dash: DASHES[place],
            points: { show: false, filter: alone, size: 4, fill: colour(COLOURS[place]) },
            value: (_, value, __, place) => write(place === null ? newest(name) : value),
          })),
        ],
      },
      this.data(),
      this.plot,
    );
  }

  summary() {
    const said = this.chart.lines.map(([name, label]) => {
      const values = history[name].filter((value) => value !== null);
      if (!values.length) return `${label}: not known`;
      const { write } = this.chart;
      return `${label}: now ${write(newest(name))}, from ${write(Math.min(...values))} to ${write(Math.max(...values))}`;
    });
    return `${this.chart.title}, the last hour. ${said.join("; ")}.`;
  }

  tabulate() {
    const { lines, write } = this.chart;
    const columns = [
      ["Minute", "", (row) => clock(row.at).slice(0, 5)],
      ...lines.map(([name, label]) => [label, "number", (row) => write(row[name])]),
    ];
    table(this.rows.firstChild, columns, this.minutes(), (row) => row.at);
  }

  // The newest first; the worst of a minute where that is what matters, else its mean.
  minutes() {
    const found = new Map();
    history.at.forEach((at, place) => {
      const minute = Math.floor(at / ROW_SECONDS) * ROW_SECONDS;
      if (!found.has(minute)) found.set(minute, []);
      found.get(minute).push(place);
    });
    return [...found].reverse().map(([at, places]) => {
      const row = { at };
      this.chart.lines.forEach(([name]) => {
        const values = places.map((place) => history[name][place]).filter((value) => value !== null);
        row[name] = values.length ? this.summed(values) : null;
      });
      return row;
    });
  }

  summed(values) {
    return this.chart.worst ? Math.max(...values) : values.reduce((sum, value) => sum + value, 0) / values.length;
  }
}
