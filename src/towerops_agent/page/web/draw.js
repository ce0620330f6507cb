// Elements, and what all charts share: axes, and stretches of time. Times in microseconds since 1970 (_us).

const NS = "http://www.w3.org/2000/svg";

/** Room around a chart's lines. */
export const LEFT = 52, RIGHT = 8, TOP = 8, BOTTOM = 20;

/** @typedef {[number, (number | null)[], boolean, (number | null)[]?]} Point  Its time, its values, whether it arrived late; if it stands for several, their greatest values, and the first are the least. */

/**
 * @param {string} name
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function svg(name, attributes = {}, ...children) {
  const element = /** @type {SVGElement} */ (document.createElementNS(NS, name));
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function html(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/**
 * @param {string} text
 * @param {number | string} x
 * @param {number} y
 * @param {string} anchor
 * @param {string} [className]
 */
export function label(text, x, y, anchor, className = "tick") {
  return svg("text", { x, y, "text-anchor": anchor, class: className }, text);
}

/** The pattern of a gap. */
export function hatch() {
  const pattern = svg("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(svg("line", { class: "hatchline", x1: 0, y1: 0, x2: 0, y2: 6 }));
  return svg("defs", {}, pattern);
}

/** The least span of an axis, by unit, so that a value that hardly moves is not drawn as a mountain range. */
/** @type {Map<string, number>} A map: an object has a "constructor", which somebody may call a unit. */
const LEAST = new Map(Object.entries({ "%": 10, "dBm": 5, "dB": 5, "°C": 5, "V": 2, "bit/s": 1000, "ms": 2, "packets/s": 0.001 }));

/** And as a part of its ends: of numbers beyond 2^53 not each is a number of its own, and ticks must be apart. */
const FINEST = 1e-9;

/** What is beyond it, either way, is beyond the axis: from end to end it must be a number. */
const FURTHEST = 1e300;

/**
 * The ends of an axis and its ticks. It begins at zero for rates, and for values that come near it.
 * @param {number[]} values
 * @param {string} unit
 */
export function scale(values, unit) {
  const within = (/** @type {number} */ value) => Math.max(-FURTHEST, Math.min(FURTHEST, value));
  let low = within(values.length ? Math.min(...values) : 0), high = within(values.length ? Math.max(...values) : 1);
  if (unit === "bit/s" || (low > 0 && low < high / 2)) low = 0;
  const least = Math.max(LEAST.get(unit) ?? Math.max(Math.abs(high) * 0.1, 1), FINEST * Math.max(Math.abs(low), Math.abs(high)));
  if (high - low < least) {
    const middle = (high + low) / 2;
    const lowest = low >= 0 ? Math.max(0, middle - least / 2) : middle - least / 2;
    [low, high] = low === 0 ? [0, Math.max(high, least)] : [lowest, lowest + least];
  }
  if (unit === "%" && high > 100 && Math.max(...values) <= 100) [low, high] = [Math.max(0, 100 - Math.max(least, 100 - low)), 100];
  const ticks = niceTicks(low, high);
  return { low: Math.min(low, ticks[0]), high: Math.max(high, ticks[ticks.length - 1]), ticks };
}

/**
 * Round numbers, three or four of them; fewer if the ends are as good as one.
 * @param {number} low
 * @param {number} high
 * @returns {number[]}
 */
export function niceTicks(low, high) {
  const rough = Math.max((high - low) / 3, (FINEST / 10) * Math.max(Math.abs(low), Math.abs(high)), 1 / FURTHEST);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.999) ?? 10 * power;
  const ticks = [];
  for (let i = Math.floor(low / step + 1e-9); i * step < high + step * 0.999; i += 1) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

/**
 * Round times of the clock, three or four of them.
 * @param {number} from
 * @param {number} to
 * @returns {number[]}
 */
export function timeTicks(from, to) {
  const step = [60e6, 120e6, 300e6, 600e6, 900e6, 1800e6, 3600e6, 2 * 3600e6, 4 * 3600e6, 6 * 3600e6].find((each) => (to - from) / each <= 4) ?? 6 * 3600e6;
  const ticks = [];
  for (let time = Math.ceil(from / step) * step; time < to; time += step) ticks.push(time);
  return ticks;
}

/**
 * Stretches of neighbours that have a value.
 * @param {Point[]} points
 * @param {number} column
 * @param {number} gap_us
 * @returns {[number, number][][]}
 */
export function runs(points, column, gap_us) {
  /** @type {[number, number][][]} */
  const found = [];
  let before = -Infinity;
  for (const [time, values] of points) {
    const value = values[column];
    if (value === null) {
      before = -Infinity;
      continue;
    }
    if (time - before > gap_us) found.push([]);
    found[found.length - 1].push([time, value]);
    before = time;
  }
  return found;
}

/**
 * Late values and gaps: [class, from, to].
 * @param {Point[]} points
 * @param {number} gap_us
 * @returns {[string, number, number][]}
 */
export function bands(points, gap_us) {
  /** @type {[string, number, number][]} */
  const found = [];
  points.forEach(([time, , late], i) => {
    const before = i ? points[i - 1][0] : time;
    const last = found[found.length - 1];
    if (time - before > gap_us) found.push(["gapband", before, time]);
    else if (late && last?.[0] === "lateband" && last[2] === before) last[2] = time;
    else if (late) found.push(["lateband", before, time]);
  });
  return found;
}
