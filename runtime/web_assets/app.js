// Joins the page: asks for the status every second, reads the pictures, passes on what users set.

import { Chart } from "/chart.js";
import { cameraColor, onSchemeChange } from "/colors.js";
import { canRead, readParts } from "/stream.js";
import { fillCameras, fillCounts, fillSinks, fillStages } from "/tables.js";
import { Tile } from "/tile.js";

const STATUS_EVERY_MS = 1000;
const TELL_EVERY_MS = 250;
const RETRY_AFTER_MS = 1000;
const SCORE_DELAY_MS = 150;
const KEEP_KEY = "cornerrt";
const byId = (id) => document.getElementById(id);
const kept = readKept();
const show = { boxes: true, labels: true, ids: true, shapes: true, ...kept.show };
const charts = {
  fps: new Chart(byId("fps-chart"), { unit: "fps", digits: 1 }),
  age: new Chart(byId("age-chart"), { unit: "ms", digits: 0 }),
};
let tiles = new Map();
let cameras = [];
let chosen = kept.chosen ?? null; // a camera's name; null for all
let isConnected = false;
let scoreSetMs = -Infinity;
let streaming = null; // ends the present stream

function readKept() {
  try {
    return JSON.parse(localStorage.getItem(KEEP_KEY)) ?? {};
  } catch {
    return {};
  }
}

function keep() {
  try {
    localStorage.setItem(KEEP_KEY, JSON.stringify({ show, chosen }));
  } catch {
    // A browser that keeps nothing still shows everything.
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function followStatus() {
  for (;;) {
    try {
      const answer = await fetch("/api/status", { signal: AbortSignal.timeout(5000) });
      if (answer.status === 401) return location.assign("/login");
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      setConnected(true);
      showStatus(await answer.json());
    } catch {
      setConnected(false);
    }
    await pause(STATUS_EVERY_MS);
  }
}

function setConnected(now) {
  isConnected = now;
  byId("link").dataset.state = now ? "live" : "lost";
  if (!now) setText(byId("link"), "connection lost, trying again");
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function showStatus(status) {
  setText(byId("model"), `${status.model} · ${status.precision} · ${status.backend}`);
  const live = status.cameras.filter((camera) => camera.state === "live").length;
  setText(byId("link"), `${live} of ${status.cameras.length} live, up ${upText(status.seconds)}`);
  byId("link").dataset.state = live === status.cameras.length ? "live" : "partly";
  const names = status.cameras.map((camera) => camera.name);
  if (names.join("\n") !== cameras.join("\n")) setCameras(names);
  for (const camera of status.cameras) {
    const tile = tiles.get(camera.name);
    if (!tile) continue;
    tile.state = camera.state;
    tile.framesPerSecond = camera.frames_per_second ?? 0;
    tile.shapes = status.shapes.filter((shape) => (shape.camera ?? camera.name) === camera.name);
  }
  byId("show-shapes").hidden = status.shapes.length === 0;
  fillCameras(byId("cameras"), status.cameras);
  fillStages(byId("stages"), status.stages);
  byId("counts-card").hidden = !fillCounts(byId("counts"), status.cameras);
  byId("sinks-card").hidden = !fillSinks(byId("sinks"), status.sinks);
  document.body.dataset.ready = true;
  showCharts(status.cameras);
  if (performance.now() - scoreSetMs > 2000) showScore(status.score);
}

function showCharts(now) {
  const isLive = (camera) => camera.state === "live";
  const fps = now.map((camera) => camera.frames_per_second);
  const ages = now.map((camera) => (isLive(camera) ? camera.age_ms : null));
  charts.fps.add(performance.now(), fps);
  charts.age.add(performance.now(), ages);
  const known = ages.filter((age) => age !== null);
  const total = fps.reduce((sum, value) => sum + value, 0);
  setText(byId("fps-now"), (now.length > 1 ? "all " : "") + total.toFixed(1));
  const oldest = known.length ? String(Math.round(Math.max(...known))) : "–";
  setText(byId("age-now"), (now.length > 1 ? "oldest " : "") + oldest);
  byId("fps-chart").setAttribute("aria-label", `Now ${total.toFixed(1)} frames per second`);
  byId("age-chart").setAttribute("aria-label", `Now ${oldest} milliseconds`);
}

function upText(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return `${Math.floor(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

function setCameras(names) {
  cameras = names;
  if (!names.includes(chosen)) chosen = null;
  const picker = byId("picker");
  picker.replaceChildren();
  picker.hidden = names.length < 2;
  picker.append(pickerButton("All", null));
  names.forEach((name, index) => picker.append(pickerButton(name, name, cameraColor(index))));
  rebuildTiles();
}

function pickerButton(text, name, color) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.camera = name ?? "";
  if (color) {
    const swatch = document.createElement("i");
    swatch.className = "swatch";
    swatch.style.background = color;
    button.append(swatch);
  }
  button.append(text);
  button.addEventListener("click", () => choose(name));
  return button;
}

function choose(name) {
  chosen = name;
  keep();
  rebuildTiles();
}

function rebuildTiles() {
  const wanted = chosen === null ? cameras : [chosen];
  tiles.forEach((tile) => tile.remove());
  tiles = new Map(wanted.map((name) => [name, new Tile(name, show)]));
  byId("pictures").replaceChildren(...[...tiles.values()].map((tile) => tile.element));
  byId("pictures").dataset.count = wanted.length;
  byId("pictures").style.setProperty("--columns", Math.ceil(Math.sqrt(wanted.length)));
  for (const button of byId("picker").children) {
    button.setAttribute("aria-pressed", String(button.dataset.camera === (chosen ?? "")));
  }
  if (canRead) restartStream();
  else tiles.forEach((tile) => tile.useImage());
}

function restartStream() {
  if (streaming) streaming.abort();
  streaming = null;
  if (document.hidden || !tiles.size) return;
  streaming = new AbortController();
  followPictures(streaming.signal);
}

async function followPictures(signal) {
  const query = new URLSearchParams([["record", "1"]]);
  for (const name of tiles.keys()) query.append("camera", name);
  while (!signal.aborted) {
    try {
      const response = await fetch(`/stream.mjpg?${query}`, { signal });
      if (response.ok) {
        for await (const part of readParts(response)) {
          if (signal.aborted) return;
          tiles.get(part.camera)?.take(part).catch(console.warn);
        }
      }
    } catch (error) {
      if (!signal.aborted && !(error instanceof TypeError)) console.warn(error);
    }
    await pause(RETRY_AFTER_MS);
  }
}

function showScore(score) {
  byId("score").value = score;
  setText(byId("score-value"), Number(score).toFixed(2));
}

function watchScore() {
  let timer = 0;
  byId("score").addEventListener("input", () => {
    const score = Number(byId("score").value);
    showScore(score);
    scoreSetMs = performance.now();
    clearTimeout(timer);
    timer = setTimeout(() => sendScore(score), SCORE_DELAY_MS);
  });
}

async function sendScore(score) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ score });
  const answer = await fetch("/api/score", { method: "POST", headers, body }).catch(() => null);
  if (!answer || !answer.ok) scoreSetMs = -Infinity; // back to what is true
}

function watchToggles() {
  for (const box of document.querySelectorAll("[data-show]")) {
    box.checked = show[box.dataset.show];
    box.addEventListener("change", () => {
      show[box.dataset.show] = box.checked;
      keep();
      tiles.forEach((tile) => tile.draw());
    });
  }
}

function watchKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "b") document.querySelector('[data-show="boxes"]').click();
    if (event.key === "0") choose(null);
    const name = cameras[Number(event.key) - 1];
    if (name && cameras.length > 1) choose(name);
  });
}

watchScore();
watchToggles();
watchKeys();
onSchemeChange(() => setCameras(cameras));
document.addEventListener("visibilitychange", () => canRead && restartStream());
setInterval(() => tiles.forEach((tile) => tile.tell(isConnected)), TELL_EVERY_MS);
followStatus();
