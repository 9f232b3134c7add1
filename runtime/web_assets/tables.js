// The tables beside the pictures. Rows are kept and their text renewed, so that nothing flickers.

import { cameraColor } from "/colors.js";
import { ageText } from "/tile.js";

/** Fill a table's body: each row a list of cells, {text, kind} or an element's maker. */
function fill(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, index) => {
    const row = body.rows[index] ?? body.insertRow();
    while (row.cells.length > cells.length) row.deleteCell(-1);
    cells.forEach(({ text, kind = "", span = 1, make }, column) => {
      const cell = row.cells[column] ?? row.insertCell();
      if (cell.className !== kind) cell.className = kind;
      if (cell.colSpan !== span) cell.colSpan = span;
      if (make) make(cell);
      else if (cell.textContent !== text) cell.textContent = text;
    });
  });
}

const number = (value, digits = 0) => ({
  text: value === null ? "–" : digits ? value.toFixed(digits) : shortCount(value),
  kind: "n",
});

/** Return a count in at most five letters. */
function shortCount(value) {
  if (value < 100000) return String(Math.round(value));
  return value < 1e6 ? `${Math.round(value / 1e3)}k` : `${(value / 1e6).toFixed(1)}M`;
}

const dot = (color, name) => ({
  kind: "name",
  make(cell) {
    if (!cell.firstElementChild) cell.append(document.createElement("i"), "");
    cell.firstElementChild.className = "swatch";
    cell.firstElementChild.style.background = color;
    if (cell.lastChild.data !== name) cell.lastChild.data = name;
    cell.title = name;
  },
});

export function fillCameras(body, cameras) {
  const rows = [];
  cameras.forEach((camera, index) => {
    rows.push([
      dot(cameraColor(index), camera.name),
      { text: camera.state, kind: `state ${camera.state}` },
      number(camera.frames_per_second, 1),
      { text: ageOf(camera), kind: "n" },
      number(camera.dropped),
      number(camera.reconnects),
    ]);
    if (camera.problem) rows.push([{ text: camera.problem, kind: "problem", span: 6 }]);
  });
  fill(body, rows);
}

/** Of the newest result: when it came while the camera is live, by now once it is not. */
function ageOf({ state, age_ms: ageMs, since_result_ms: sinceMs }) {
  if (ageMs === null || sinceMs === null) return "–";
  return state === "live" ? String(Math.round(ageMs)) : ageText(ageMs + sinceMs);
}

export function fillStages(body, stages) {
  const longest = Math.max(0.1, ...Object.values(stages).map((stage) => stage.p95_ms));
  fill(body, Object.entries(stages).map(([name, stage]) => [
    { text: name, kind: "name" },
    { kind: "bar", make: (cell) => drawBar(cell, stage, longest) },
    { text: stage.p50_ms.toFixed(1), kind: "n" },
    { text: stage.p95_ms.toFixed(1), kind: "n" },
  ]));
}

function drawBar(cell, stage, longest) {
  while (cell.children.length < 2) cell.append(document.createElement("i"));
  [["p95", stage.p95_ms], ["p50", stage.p50_ms]].forEach(([kind, value], index) => {
    cell.children[index].className = kind;
    cell.children[index].style.width = `${(100 * value) / longest}%`;
  });
}

export function fillSinks(body, sinks) {
  const rows = [];
  for (const sink of sinks) {
    const p95 = sink.publish_ms === null ? null : sink.publish_ms.p95_ms;
    rows.push([
      { text: sink.name, kind: sink.problem ? "name failed" : "name" },
      number(sink.published),
      number(sink.dropped),
      number(p95, 1),
    ]);
    if (sink.problem) rows.push([{ text: sink.problem, kind: "problem", span: 4 }]);
  }
  fill(body, rows);
  return sinks.length > 0;
}

export function fillCounts(body, cameras) {
  const rows = cameras.flatMap((camera) => [
    ...Object.entries(camera.line_counts).map(([line, count]) => [
      { text: `${camera.name}: ${line}`, kind: "name" },
      { text: `in ${count.in ?? 0} · out ${count.out ?? 0}`, kind: "n" },
    ]),
    ...Object.entries(camera.zone_counts).map(([zone, count]) => [
      { text: `${camera.name}: ${zone}`, kind: "name" },
      { text: `inside ${count}`, kind: "n" },
    ]),
  ]);
  fill(body, rows);
  return rows.length > 0;
}
