// A device's charts in columns, and strips of states over time. Times in microseconds since 1970 (_us).

import { Chart } from "./chart.js";
import { html, label, svg, timeTicks } from "./draw.js";
import { clock, duration } from "./format.js";

/** @typedef {{low: (number | null)[], high?: (number | null)[], last?: number | null}} Line */
/** @typedef {{id: string, kind: string, label: string, lines: Line[], unit?: string, states?: Record<string, string>, note?: string, gap_us?: number}} Columns  `gap_us`: if it is not the device's. */
/** @typedef {[number, number, string, string]} Stretch  From, to, the state, and why. */

/**
 * The points of a chart: a column that has a value is one, in its middle.
 * @param {Columns} chart
 * @param {number} from_us
 * @param {number} to_us
 * @param {number} count
 * @returns {import("./draw.js").Point[]}
 */
export function pointsOf(chart, from_us, to_us, count) {
  const step = (to_us - from_us) / count;
  /** @type {import("./draw.js").Point[]} */
  const points = [];
  for (let i = 0; i < count; i += 1) {
    const low = chart.lines.map((line) => line.low[i] ?? null);
    const high = chart.lines.map((line) => (line.high ?? line.low)[i] ?? null);
    if (low.some((value) => value !== null)) points.push([from_us + (i + 0.5) * step, low, false, high]);
  }
  return points;
}

/**
 * A chart to be updated; its readout is the newest value, until a column is pointed at.
 * @param {Columns} item
 */
export function columnChart(item) {
  const { id, kind, unit, states } = item;
  const made = new Chart({ id, kind, label: item.label, unit: unit ?? "", states: states ?? {}, points: [], last: item.lines.map((line) => line.last ?? null) });
  if (item.note) made.element.querySelector("figcaption")?.append(html("small", { textContent: item.note }));
  return made;
}

const WORDS = /** @type {Record<string, string>} */ ({ unknown: "not known", waits: "not delivered yet", delivered: "delivered" });

/**
 * A strip of states, with its name; a second line says what was pointed at.
 * @param {string} name
 * @param {Stretch[]} stretches
 * @param {number} from_us
 * @param {number} to_us
 */
export function strip(name, stretches, from_us, to_us) {
  const drawing = svg("svg", { viewBox: "0 0 1000 18", preserveAspectRatio: "none", role: "img" });
  const x = (/** @type {number} */ time) => ((time - from_us) / (to_us - from_us)) * 1000;
  for (const [from, to, state, why] of stretches) {
    const left = Math.max(0, x(from)), right = Math.min(1000, x(to));
    if (right <= left) continue;
    const bar = svg("rect", { class: state.split(" ")[0], x: left, y: 1, width: Math.max(1.5, right - left), height: 16 });
    bar.append(svg("title", {}, `${WORDS[state] ?? state}${why ? `: ${why}` : ""}, ${clock(from, false)} to ${clock(to, false)}`));
    drawing.append(bar);
  }
  drawing.setAttribute("aria-label", `${name}: ${spoken(stretches, from_us, to_us)}`);
  return html("div", { className: "strip" }, html("span", { textContent: name }), drawing);
}

/**
 * The times below strips.
 * @param {number} from_us
 * @param {number} to_us
 */
export function stripAxis(from_us, to_us) {
  const drawing = svg("svg", { "aria-hidden": "true" }); // without a viewBox: the texts are as large on a narrow screen
  for (const time of timeTicks(from_us, to_us)) {
    const share = (time - from_us) / (to_us - from_us);
    if (share > 0.05 && share < 0.95) drawing.append(label(clock(time, false), `${100 * share}%`, 12, "middle"));
  }
  return html("div", { className: "strip axis" }, html("span"), drawing);
}

/**
 * @param {Stretch[]} stretches
 * @param {number} from_us
 * @param {number} to_us
 */
function spoken(stretches, from_us, to_us) {
  /** @type {Map<string, number>} */
  const spent = new Map();
  for (const [from, to, state] of stretches) spent.set(state, (spent.get(state) ?? 0) + Math.max(0, Math.min(to, to_us) - Math.max(from, from_us)));
  return [...spent].map(([state, us]) => `${WORDS[state] ?? state} for ${duration(us / 1e6)}`).join(", ") || "nothing is known";
}

