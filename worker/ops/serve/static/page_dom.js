// How numbers are written, and the little that is done with the document. Texts go in as text, never as markup: keys, errors
// and names of topics are strangers'. What is there already is changed, not made anew: focus and selection stay.

export const byId = (id) => document.getElementById(id);

export function make(name, className = "", text = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function mark(element, name, value) {
  if (value === null || value === "") element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// As many children as there are items, each found again by its key; two of one key are in the order in which they come.
export function keep(parent, items, keyOf, create, update) {
  const before = parent.kept || new Map();
  parent.kept = new Map();
  items.forEach((item, place) => {
    let key = String(keyOf(item));
    while (parent.kept.has(key)) key += " again";
    const element = before.get(key) || create(item);
    before.delete(key);
    parent.kept.set(key, element);
    if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] || null);
    update(element, item);
  });
  before.forEach((element) => element.remove());
}

// columns: [title, kind of cell, what it says of an item]; what is said is a text, or a function that fills the cell.
export function table(element, columns, items, keyOf) {
  if (!element.tHead) {
    const row = element.createTHead().insertRow();
    columns.forEach(([title, kind]) => {
      row.append(Object.assign(make("th", kind, title), { scope: "col" }));
    });
    element.createTBody();
  }
  const create = () => {
    const row = make("tr");
    columns.forEach(([, kind], place) => {
      const cell = make(place ? "td" : "th", kind);
      if (!place) cell.scope = "row";
      row.append(cell);
    });
    return row;
  };
  keep(element.tBodies[0], items, keyOf, create, (row, item) => {
    columns.forEach(([, , tell], place) => {
      const told = tell(item);
      if (typeof told === "function") told(row.cells[place]);
      else say(row.cells[place], told);
    });
  });
}

// A status: a shape and a word; the colour only repeats them.
export function status(tone, word) {
  return (cell) => {
    if (!cell.firstChild) cell.append(make("span", "status"));
    mark(cell.firstChild, "data-tone", tone);
    say(cell.firstChild, word);
  };
}

export function command(line) {
  const box = make("div", "command");
  const code = make("code", "", line);
  const button = make("button", "copy", "Copy");
  button.type = "button";
  button.addEventListener("click", () => copy(code, button));
  box.append(code, button);
  return box;
}

export function changeCommand(box, line) {
  say(box.firstChild, line);
  mark(box.lastChild, "aria-label", `Copy: ${line}`);
}

async function copy(code, button) {
  let word = "Copied";
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    // Without TLS a browser has no clipboard but on this machine itself: then it is selected, for Ctrl-C.
    getSelection().selectAllChildren(code);
    word = "Selected";
  }
  say(button, word);
  say(byId("said"), word);
  setTimeout(() => {
    say(button, "Copy");
    say(byId("said"), "");
  }, 2000);
}

const NOT_KNOWN = "–";

const known = (value) => value !== null && value !== undefined && value >= 0;

export function count(value) {
  return known(value) ? Math.round(value).toLocaleString("en") : NOT_KNOWN;
}

export function rate(value) {
  if (!known(value)) return NOT_KNOWN;
  return value < 100 ? String(Math.round(value * 10) / 10) : count(value);
}

export function share(value) {
  return known(value) ? `${Math.round(value * 100)} %` : NOT_KNOWN;
}

export function span(seconds) {
  if (!known(seconds)) return NOT_KNOWN;
  if (seconds === 0) return "0 s";
  if (seconds < 0.0995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function clock(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString("en-GB");
}
