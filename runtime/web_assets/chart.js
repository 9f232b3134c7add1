// A chart of the last minutes, a line per camera.

import { cameraColor } from "/colors.js";

// The chart shows the shortest of these spans that holds what it knows; the last is what is kept.
const SPANS_MS = [60000, 120000, 300000];
const TICKS = 4;
const LEFT = 34;
const RIGHT = 6;
const TOP = 6;
const BOTTOM = 18;
const GAP_MS = 5000; // a longer silence is shown as one

export class Chart {
  constructor(canvas, { unit, digits }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.unit = unit;
    this.digits = digits;
    this.samples = []; // {atMs, values: by camera, null where there is none}
    this.pointerX = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointermove", (event) => this.point(event.offsetX));
    canvas.addEventListener("pointerleave", () => this.point(null));
  }

  add(atMs, values) {
    this.samples.push({ atMs, values });
    while (this.samples[0].atMs < atMs - SPANS_MS.at(-1)) this.samples.shift();
    this.draw();
  }

  point(x) {
    this.pointerX = x;
    this.draw();
  }

  draw() {
    const { canvas, context } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    context.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    this.colors = { ink: style.color, grid: style.getPropertyValue("--line") };
    context.font = "11px system-ui, sans-serif";
    const nowMs = this.samples.length ? this.samples[this.samples.length - 1].atMs : 0;
    const known = this.samples.length ? nowMs - this.samples[0].atMs : 0;
    const span = SPANS_MS.find((limit) => known <= limit) ?? SPANS_MS.at(-1);
    const top = niceCeiling(Math.max(1, ...this.samples.flatMap((s) => s.values.map(Number))));
    this.place = {
      x: (atMs) => width - RIGHT - ((nowMs - atMs) / span) * (width - LEFT - RIGHT),
      y: (value) => height - BOTTOM - (value / top) * (height - TOP - BOTTOM),
    };
    this.drawGrid(top, [nowMs, span], [width, height]);
    const cameras = Math.max(0, ...this.samples.map((sample) => sample.values.length));
    for (let index = 0; index < cameras; index += 1) this.drawLine(index);
    if (this.pointerX !== null) this.drawPointer(height);
  }

  drawGrid(top, [nowMs, span], [width, height]) {
    const { context, place, colors } = this;
    context.lineWidth = 1;
    context.fillStyle = colors.ink;
    context.strokeStyle = colors.grid;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const value of [0, top / 2, top]) {
      const y = Math.round(place.y(value)) + 0.5;
      context.beginPath();
      context.moveTo(LEFT, y);
      context.lineTo(width - RIGHT, y);
      context.stroke();
      context.fillText(String(value), LEFT - 6, y);
    }
    context.textBaseline = "alphabetic";
    for (let tick = 0; tick <= TICKS; tick += 1) {
      const agoMs = (tick * span) / TICKS;
      context.textAlign = tick === 0 ? "right" : tick === TICKS ? "left" : "center";
      context.fillText(agoText(agoMs), place.x(nowMs - agoMs), height - 3);
    }
  }

  drawLine(index) {
    const { context, place } = this;
    context.strokeStyle = cameraColor(index);
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.beginPath();
    let before = null;
    for (const { atMs, values } of this.samples) {
      const value = values[index] ?? null;
      const follows = before !== null && value !== null && atMs - before < GAP_MS;
      if (follows) context.lineTo(place.x(atMs), place.y(value));
      else if (value !== null) context.moveTo(place.x(atMs), place.y(value));
      before = value === null ? null : atMs;
    }
    context.stroke();
  }

  drawPointer(height) {
    const { context, place, colors } = this;
    if (!this.samples.length) return;
    const distance = (sample) => Math.abs(place.x(sample.atMs) - this.pointerX);
    const nearest = this.samples.reduce((a, b) => (distance(b) < distance(a) ? b : a));
    const x = place.x(nearest.atMs);
    context.strokeStyle = colors.ink;
    context.beginPath();
    context.moveTo(x, TOP);
    context.lineTo(x, height - BOTTOM);
    context.stroke();
    const known = nearest.values.map((value) => (value === null ? "–" : value.toFixed(this.digits)));
    const text = `${known.join("  ")} ${this.unit}`;
    const isLeft = x > this.canvas.clientWidth / 2;
    context.textAlign = isLeft ? "right" : "left";
    context.fillStyle = colors.ink;
    context.fillText(text, x + (isLeft ? -6 : 6), TOP + 12);
  }
}

function agoText(ms) {
  if (ms === 0) return "now";
  const seconds = String(Math.round(ms / 1000) % 60).padStart(2, "0");
  return `−${Math.floor(ms / 60000)}:${seconds}`;
}

/** Return the next round number, the top of the chart. */
function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((limit) => limit >= value);
}
