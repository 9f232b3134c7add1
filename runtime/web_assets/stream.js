// Reads pictures and their detections from one multipart stream.

const HEADER_END = [13, 10, 13, 10];
const decoder = new TextDecoder();
export const canRead = typeof ReadableStream === "function" && "body" in Response.prototype &&
  typeof createImageBitmap === "function";

/** Yield {camera, ageMs, record, jpeg} for every part of a response. */
export async function* readParts(response) {
  const reader = response.body.getReader();
  let bytes = new Uint8Array(0);
  try {
    for (;;) {
      const part = takePart(bytes);
      if (part) {
        bytes = part.rest;
        yield part;
        continue;
      }
      const { done, value } = await reader.read();
      if (done) return;
      bytes = joined(bytes, value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function takePart(bytes) {
  const end = indexOfHeaderEnd(bytes);
  if (end < 0) return null;
  const headers = headersFrom(decoder.decode(bytes.subarray(0, end)));
  const start = end + HEADER_END.length;
  const length = Number(headers["content-length"]);
  if (!Number.isInteger(length)) throw new Error("a part without its length");
  if (bytes.length < start + length) return null;
  return {
    camera: decodeURIComponent(headers["x-camera"]),
    ageMs: Number(headers["x-age-ms"]),
    record: JSON.parse(headers["x-record"]),
    jpeg: new Blob([bytes.subarray(start, start + length)], { type: "image/jpeg" }),
    rest: bytes.subarray(start + length),
  };
}

function indexOfHeaderEnd(bytes) {
  for (let at = bytes.indexOf(13); at >= 0; at = bytes.indexOf(13, at + 1)) {
    if (HEADER_END.every((value, offset) => bytes[at + offset] === value)) return at;
  }
  return -1;
}

function headersFrom(text) {
  const headers = {};
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return headers;
}

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
