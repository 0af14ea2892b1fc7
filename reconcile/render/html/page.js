"use strict";
// Everything that strangers wrote is set as text: nothing here makes markup of it.
const MOST = 200; // rows that are drawn at once
const plan = JSON.parse(document.getElementById("plan").textContent);
for (const row of plan.changes) {
  row.labels ??= [];
  row.notes ??= [];
  row.fields ??= [];
  for (const field of row.fields) for (const name of ["before", "after", "whose", "place"]) field[name] ??= "";
}
const at = (id) => document.getElementById(id);
const make = (tag, text, name) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
};
const number = (count) => count.toLocaleString("en-US");
const filters = ["action", "type", "provider", "label", "reason", "wave"];
const said = {
  action: (row) => [row.action],
  type: (row) => [row.type],
  provider: (row) => [row.provider],
  label: (row) => row.labels,
  reason: (row) => [row.reason],
  wave: (row) => [`wave ${row.wave}`],
};
const text = plan.changes.map((row) => [
  row.address, row.action, row.type, row.reason, row.id || "", row.block || "", ...row.labels, ...row.notes,
  ...row.fields.flatMap((field) => [field.name, field.before, field.after, field.whose]),
].join("\n").toLowerCase());

for (const name of filters) {
  const counts = new Map();
  for (const row of plan.changes) for (const one of said[name](row)) counts.set(one, (counts.get(one) || 0) + 1);
  for (const [value, count] of counts) {
    const option = make("option", `${value} (${number(count)})`);
    option.value = value;
    at(name).append(option);
  }
  at(name).parentElement.hidden = counts.size < 2;
}

let found = [];
let first = 0;

function narrowed() {
  const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = filters.filter((name) => at(name).value).map((name) => [said[name], at(name).value]);
  found = [];
  plan.changes.forEach((row, index) => {
    if (chosen.every(([of, value]) => of(row).includes(value)) && words.every((word) => text[index].includes(word)))
      found.push(row);
  });
  first = 0;
  draw();
}

function sides(row) {
  const inside = make("div", undefined, "inside");
  for (const note of row.notes) inside.append(make("p", note, "soft"));
  const about = [row.id && `id ${row.id}`, row.block && `block ${row.block}`, `wave ${row.wave}`, row.place,
    row.labels.join(", "), row.written && `written last ${row.written}`].filter(Boolean);
  inside.append(make("p", about.join(" · "), "soft"));
  if (row.fields.length) {
    const table = make("table");
    const head = table.createTHead().insertRow();
    for (const name of ["attribute", "before", "after", "why and where"]) {
      const cell = make("th", name);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    for (const field of row.fields) {
      const line = body.insertRow();
      line.append(make("td", field.name, "value"), make("td", field.before, "value"), make("td", field.after, "value"));
      line.append(make("td", [field.whose, field.place].filter(Boolean).join(" · ")));
    }
    inside.append(table);
  }
  return inside;
}

function brief(row) {
  const told = row.fields.slice(0, 2).map((field) => {
    const value = field.before && field.after !== field.before ? `${field.before} → ${field.after}` : field.after;
    return `${field.name}: ${value.length > 80 ? `${value.slice(0, 79)}…` : value}`;
  });
  return told.join(", ") + (row.fields.length > 2 ? `, and ${row.fields.length - 2} more` : "");
}

function draw() {
  const rows = found.slice(first, first + MOST).map((row) => {
    const item = make("li");
    const opened = make("details");
    const line = make("summary");
    line.append(make("span", row.symbol || "", `symbol ${row.action}`), make("span", row.address, "address"));
    line.append(make("span", `  ${row.what || brief(row) || row.reason}`, "soft"));
    opened.append(line);
    opened.addEventListener("toggle", () => {
      if (opened.open && opened.childElementCount === 1) opened.append(sides(row));
    });
    if (found.length <= 3) opened.open = true;
    item.append(opened);
    return item;
  });
  at("rows").replaceChildren(...rows);
  const last = Math.min(first + MOST, found.length);
  at("count").textContent = found.length
    ? `${number(first + 1)} to ${number(last)} of ${number(found.length)} changes` +
      (found.length === plan.changes.length ? "" : ` (${number(plan.changes.length)} in all)`)
    : "No change is like this.";
  at("before").disabled = first === 0;
  at("after").disabled = last === found.length;
  at("pages").hidden = found.length <= MOST;
}

at("narrow").addEventListener("input", narrowed);
at("narrow").addEventListener("submit", (event) => event.preventDefault());
at("narrow").addEventListener("reset", () => setTimeout(narrowed));
at("before").addEventListener("click", () => { first = Math.max(0, first - MOST); draw(); });
at("after").addEventListener("click", () => { first += MOST; draw(); });
window.addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("#rows details")) one.open = true; });
at("changes").hidden = plan.changes.length === 0;
narrowed();
