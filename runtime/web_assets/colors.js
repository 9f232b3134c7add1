// The colours of classes, as the runtime draws them into pictures, and of cameras in charts.

const GOLDEN_RATIO = 0.618034;
const DARK = matchMedia("(prefers-color-scheme: dark)");
// Apart from each other also for those who confuse red and green.
const CAMERAS_LIGHT = ["#1668c7", "#c2570c", "#0f7f6b", "#a62a8a", "#7a6a00", "#5b49c9", "#b3261e", "#4c5866"];
const CAMERAS_DARK = ["#5aa9ff", "#ff9a4d", "#3cc9ad", "#f07ad4", "#d6bf3a", "#a598ff", "#ff8a80", "#a9b4c0"];

/** Return the fill and the ink of a class's label. */
export function classColor(classId) {
  const hue = (0.08 + classId * GOLDEN_RATIO) % 1;
  const [red, green, blue] = rgbFromHsv(hue, 0.85, classId % 2 === 0 ? 1 : 0.8);
  const luma = 0.299 * red + 0.587 * green + 0.114 * blue;
  return { fill: `rgb(${red} ${green} ${blue})`, ink: luma > 128 ? "#000" : "#fff" };
}

function rgbFromHsv(hue, saturation, value) {
  return [5, 3, 1].map((offset) => {
    const k = (offset + hue * 6) % 6;
    return Math.round(255 * value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1))));
  });
}

/** Return a camera's colour by its place in the list. */
export function cameraColor(index) {
  const colors = DARK.matches ? CAMERAS_DARK : CAMERAS_LIGHT;
  return colors[index % colors.length];
}

/** Call a function whenever the browser changes between light and dark. */
export function onSchemeChange(call) {
  DARK.addEventListener("change", call);
}
