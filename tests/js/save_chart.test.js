import assert from "node:assert/strict";
import { test } from "node:test";
import { writePoints } from "../../latent_workbench/components/scatter/written.js";
import { rowsOf } from "../../latent_workbench/components/shared/plotly_source.js";
import { asCsv } from "../../latent_workbench/components/shared/save_chart.js";
import { SvgPen } from "../../latent_workbench/components/shared/svg_pen.js";

test("rows become CSV whose cells read back", () => {
  const rows = [
    { name: 'a "b", c', x: 1.5 },
    { name: "two\nlines", y: null },
  ];
  assert.equal(asCsv(rows), 'name,x,y\r\n"a ""b"", c",1.5,\r\n"two\nlines",,\r\n');
});

test("a chart's numbers are a row for each point", () => {
  const error_y = { array: [0.1, 0.2] };
  const found = rowsOf([
    { name: "line", x: Float64Array.of(1, 2), y: [3, 4], error_y },
    { y: [5] },
    { name: "heat", x: [1, 2], y: ["a"], z: [[7, 8]] },
  ]);
  assert.deepEqual(found, [
    { trace: "line", x: 1, y: 3, error_y: 0.1 },
    { trace: "line", x: 2, y: 4, error_y: 0.2 },
    { trace: "trace 1", x: 0, y: 5 },
    { trace: "heat", x: 1, y: "a", z: 7 },
    { trace: "heat", x: 2, y: "a", z: 8 },
  ]);
});

test("a pen writes what a canvas would paint", () => {
  const pen = new SvgPen(100, 50, "white");
  pen.strokeStyle = "#123456";
  pen.globalAlpha = 0.5;
  pen.setLineDash([5, 4]);
  pen.beginPath();
  pen.moveTo(1, 2);
  pen.lineTo(3.123, 4);
  pen.closePath();
  pen.stroke();
  pen.save();
  pen.globalAlpha = 1;
  pen.font = "600 13px Some Font, sans-serif";
  pen.textAlign = "center";
  pen.fillStyle = "red";
  pen.fillText("σ < 1 & more", 10, 20);
  pen.restore();
  pen.fillRect(0, 0, 2, 2);
  const text = pen.text();
  assert.match(text, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" width="100" height="50"/);
  assert.match(
    text,
    /<path d="M1 2L3.12 4Z" fill="none" stroke="#123456" stroke-width="1" stroke-opacity="0.5" stroke-dasharray="5 4"\/>/,
  );
  assert.match(
    text,
    /font-family="Some Font, sans-serif" font-size="13px" font-weight="600" text-anchor="middle" fill="red">σ &lt; 1 &amp; more</,
  );
  assert.match(text, /<rect x="0" y="0" width="2" height="2" fill="white" fill-opacity="0.5"\/><\/svg>$/);
});

test("points are shapes, those that are faded first and what is hidden not at all", () => {
  const pen = new SvgPen(100, 100, "white");
  const before = pen.parts.length;
  const viewport = {
    width: 100,
    height: 100,
    toPixels: (/** @type {number} */ x, /** @type {number} */ y) => [x, y],
  };
  const points = {
    count: 4,
    numbers: Float32Array.of(1, 1, 2, 2, 3, 3, 500, 5),
    farFirst: null,
    nearness: () => 1,
  };
  const look = {
    words: Uint32Array.of(0xd80000ff, 0x38ff0000, 0, 0xd80000ff),
    shapes: Uint8Array.of(2, 0, 0, 0),
    faded: true,
  };
  writePoints(pen, /** @type {any} */ ({ viewport, pointsOf: () => points, look }));
  const written = pen.parts.slice(before);
  assert.equal(written.length, 2);
  assert.match(written[0], /translate\(2.0 2.0\).*fill="#0000ff" fill-opacity="0.22"/);
  assert.match(written[1], /translate\(1.0 1.0\).*fill="#ff0000" fill-opacity="0.85"/);
});
