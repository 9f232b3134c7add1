// One camera's picture with its boxes, which belong to this very picture.

import { classColor } from "/colors.js";

const STALE_AFTER_MS = 2000;
// Of labels, in CSS pixels: a mosaic on a phone has no room for more than the class.
const LARGE = { font: "600 12px system-ui, sans-serif", height: 17, hasScore: true };
const SMALL = { font: "600 10px system-ui, sans-serif", height: 13, hasScore: false };
const SMALL_BELOW = 330;

export class Tile {
  constructor(camera, show) {
    this.camera = camera;
    this.shapes = [];
    this.state = "connecting";
    this.problem = "";
    this.framesPerSecond = 0;
    this.shown = null;
    this.show = show;
    this.next = null;
    this.isDecoding = false;
    this.build();
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.canvas);
  }

  build() {
    this.element = document.createElement("figure");
    this.element.className = "tile";
    this.element.innerHTML =
      '<div class="picture"><canvas role="img"></canvas><p class="stale" hidden></p></div>' +
      '<figcaption><i class="dot"></i>' +
      '<b></b><span class="state"></span><span class="figures"></span>' +
      '<a class="snapshot" download>Snapshot</a></figcaption>';
    this.canvas = this.element.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.element.querySelector("b").textContent = this.camera;
    this.canvas.setAttribute("aria-label", `Live picture of ${this.camera}`);
    const link = this.element.querySelector(".snapshot");
    link.href = this.address("snapshot.jpg");
    link.setAttribute("aria-label", `Snapshot of ${this.camera}, in full size with boxes`);
  }

  address(file) {
    return `/cameras/${encodeURIComponent(this.camera)}/${file}`;
  }

  /** Show pictures by the browser's own means, boxes drawn by the server. */
  useImage() {
    const image = document.createElement("img");
    image.src = this.address("stream.mjpg?boxes=1");
    image.alt = `Live picture of ${this.camera}`;
    this.canvas.replaceWith(image);
  }

  remove() {
    this.resize.disconnect();
    this.element.remove();
    if (this.shown) this.shown.bitmap.close();
    const image = this.element.querySelector("img");
    if (image) image.src = "";
  }

  /** Take a part of the stream; of those that come while one is decoded, only the last is kept. */
  async take(part) {
    this.next = { ...part, arrivedMs: performance.now() };
    if (this.isDecoding) return;
    this.isDecoding = true;
    try {
      while (this.next) {
        const current = this.next;
        this.next = null;
        const bitmap = await createImageBitmap(current.jpeg);
        if (this.shown) this.shown.bitmap.close();
        this.shown = { ...current, bitmap };
        requestAnimationFrame(() => this.draw());
      }
    } finally {
      this.isDecoding = false;
    }
  }

  /** How old what the canvas shows is by now, in milliseconds. */
  ageMs() {
    return this.shown ? this.shown.ageMs + performance.now() - this.shown.arrivedMs : null;
  }

  /** Renew the caption; `isConnected` is whether the server answers. */
  tell(isConnected) {
    const age = this.ageMs();
    const limit = Math.max(STALE_AFTER_MS, 3000 / Math.max(this.framesPerSecond, 0.01));
    const isLost = this.state !== "live" && this.state !== "ended";
    const isOld = age !== null && age > (this.framesPerSecond > 0 ? limit : STALE_AFTER_MS);
    const isStale = this.state !== "ended" && (isLost || isOld || !isConnected);
    this.element.dataset.state = this.state;
    this.element.dataset.stale = isStale;
    const note = this.element.querySelector(".stale");
    note.hidden = !isStale && age !== null;
    note.textContent = this.note(age, isStale);
    this.element.querySelector(".state").textContent = this.state;
    const figures = [`${this.framesPerSecond.toFixed(1)} fps`];
    if (age !== null) figures.push(ageText(age));
    this.element.querySelector(".figures").textContent = figures.join(" · ");
  }

  note(age, isStale) {
    if (age === null) return this.state === "live" ? "waiting for the first picture" : this.state;
    const words = isStale && this.state !== "live" ? this.state : "stale";
    return `${words}, picture is ${ageText(age)} old`;
  }

  draw() {
    const { canvas, context } = this;
    const ratio = devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (!width || !this.shown) return;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    const { bitmap, record } = this.shown;
    const fit = Math.min(width / bitmap.width, height / bitmap.height);
    const size = [bitmap.width * fit, bitmap.height * fit];
    const offset = [(width - size[0]) / 2, (height - size[1]) / 2];
    context.drawImage(bitmap, ...offset, ...size);
    // From here on in CSS pixels, so that lines and letters look the same on every screen.
    context.setTransform(ratio, 0, 0, ratio, offset[0], offset[1]);
    const scale = size[0] / ratio / record.image_hw[1];
    const bounds = [size[0] / ratio, size[1] / ratio];
    if (this.show.shapes) this.shapes.forEach((shape) => drawShape(context, shape, bounds));
    // The best last, on top.
    if (this.show.boxes) {
      [...record.detections].reverse().forEach((found) => this.drawBox(found, scale, bounds));
    }
  }

  drawBox(found, scale, bounds) {
    const { context, show } = this;
    const color = classColor(found.class_id);
    const [left, top, right, bottom] = found.box_xyxy.map((value) => value * scale);
    context.lineWidth = 2;
    context.strokeStyle = color.fill;
    context.strokeRect(left, top, right - left, bottom - top);
    const style = bounds[0] < SMALL_BELOW ? SMALL : LARGE;
    const words = [];
    if (show.ids && found.track_id) words.push(`#${found.track_id}`);
    if (show.labels) words.push(found.class_name);
    if (show.labels && style.hasScore) words.push(found.score.toFixed(2));
    const text = words.join(" ");
    if (text) drawLabel(context, text, { corner: [left - 1, top - 1], color, bounds, style });
  }
}

function drawLabel(context, text, { corner, color, bounds, style }) {
  context.font = style.font;
  const width = context.measureText(text).width + 8;
  const x = Math.max(0, Math.min(corner[0], bounds[0] - width));
  const y = corner[1] >= style.height ? corner[1] - style.height : Math.max(0, corner[1]);
  context.fillStyle = color.fill;
  context.fillRect(x, y, width, style.height);
  context.fillStyle = color.ink;
  context.textBaseline = "middle";
  context.fillText(text, x + 4, y + style.height / 2 + 0.5);
}

function drawShape(context, shape, bounds) {
  const points = shape.points_xy.map(([x, y]) => [x * bounds[0], y * bounds[1]]);
  context.beginPath();
  points.forEach((point, index) => (index ? context.lineTo(...point) : context.moveTo(...point)));
  if (shape.kind === "zone") context.closePath();
  for (const [color, width] of [["rgb(0 0 0 / 55%)", 4], ["#fff", 2]]) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.setLineDash(shape.kind === "zone" ? [6, 4] : []);
    context.stroke();
  }
  context.setLineDash([]);
  const color = { fill: "rgb(0 0 0 / 70%)", ink: "#fff" };
  drawLabel(context, shape.name, { corner: points[0], color, bounds, style: SMALL });
}

/** Return an age for people. */
export function ageText(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120000) return `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
  return `${Math.round(ms / 60000)} min`;
}
