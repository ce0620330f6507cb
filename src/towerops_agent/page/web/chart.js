// Charts as SVG: one or two lines over time, or the words of a state, with gaps hatched and what arrived late tinted.
// Read by pointer, keys and ear.

import { BOTTOM, LEFT, RIGHT, TOP, bands, hatch, html, label, niceTicks, runs, scale, svg, timeTicks } from "./draw.js";
import { axisTexts, clock, plural, quantity } from "./format.js";

/** @typedef {import("./draw.js").Point} Point */
/** @typedef {{id: string, kind: string, label: string, unit: string, states: Record<string, string>, points: Point[], last?: (number | null)[]}} Item  `last`: the newest values, if the points stand for several. */
/** @typedef {{from_us: number, to_us: number, gap_us: number, restarted_us: number, restarts?: number[], ending: string}} Span  `ending`: why there is nothing after the last point: "gapband", "waitband" or "". */

// A figure that draws itself again with each set of points.
export class Chart {
  /** @param {Item} item */
  constructor(item) {
    this.item = item;
    /** @type {Point[]} */
    this.points = [];
    /** @type {Span | null} */
    this.span = null;
    /** @type {number | null} */
    this.at = null;
    this.readout = html("span");
    this.svg = svg("svg", { role: "img", tabindex: 0 });
    this.element = html("figure", { className: "chart" }, html("figcaption", {}, html("span", { textContent: item.label }), this.readout), this.svg);
    this.element.dataset.item = item.id;
    this.marks = svg("g");
    this.left = LEFT;
    /** @type {(time: number) => number} */
    this.x = (time) => time;
    /** @type {(value: number) => number} */
    this.y = (value) => value;
    this.svg.addEventListener("pointermove", (event) => this.point(/** @type {PointerEvent} */ (event).offsetX));
    this.svg.addEventListener("pointerleave", () => this.show(null));
    this.svg.addEventListener("blur", () => this.show(null));
    this.svg.addEventListener("keydown", (event) => this.key(/** @type {KeyboardEvent} */ (event)));
  }

  /**
   * @param {Span} span
   * @param {Point[]} points
   */
  update(span, points) {
    this.span = span;
    this.points = points.filter((point) => point[0] >= span.from_us);
    this.element.dataset.points = String(this.points.length);
    this.element.classList.toggle("stale", span.ending !== "");
    this.draw();
  }

  draw() {
    const { span, item } = this;
    if (!span) return;
    const width = this.svg.clientWidth || 340, height = this.svg.clientHeight || 128;
    const floor = height - BOTTOM;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const axis = item.kind === "state" ? null : this.axis();
    const left = this.left = Math.max(LEFT, ...(axis?.texts ?? []).map((text) => 8 + widthOf(text)));
    this.x = (time) => left + ((time - span.from_us) / (span.to_us - span.from_us)) * (width - left - RIGHT);
    const parts = [hatch()];
    for (const time of timeTicks(span.from_us, span.to_us)) {
      const x = this.x(time);
      if (x > left + 10 && x < width - RIGHT - 14) parts.push(label(clock(time, span.to_us - span.from_us < 6 * 60e6), x, height - 5, "middle"));
    }
    parts.push(...(axis ? this.lines(floor, width, axis) : this.words(floor)));
    for (const time of span.restarts ?? [span.restarted_us]) {
      if (time <= span.from_us) continue;
      const x = this.x(time);
      parts.push(svg("line", { class: "restart", x1: x, x2: x, y1: TOP, y2: floor }), label("restart", x - 4, TOP + 10, "end", "tick"));
    }
    this.marks = svg("g");
    this.svg.replaceChildren(...parts, this.marks);
    this.svg.setAttribute("aria-label", this.summary());
    this.show(this.at);
  }

  /**
   * The stretches that are not a plain line: late, a gap, nothing after the last point.
   * @param {number} floor
   */
  background(floor) {
    const { span, points } = this;
    if (!span) return [];
    const found = bands(points, span.gap_us);
    const last = points[points.length - 1];
    if (last && span.ending) found.push([span.ending, last[0], span.to_us]);
    return found.map(([kind, from, to]) => {
      const x = this.x(Math.max(from, span.from_us));
      return svg("rect", { class: kind, x, y: TOP, width: Math.max(1, this.x(to) - x), height: floor - TOP });
    });
  }

  /** The ends of the axis, its ticks and their texts. */
  axis() {
    const values = this.points.flatMap((point) => [...point[1], ...(point[3] ?? [])]).filter((value) => value !== null);
    const found = scale(values, this.item.unit);
    return { ...found, texts: axisTexts(found.ticks, this.item.unit) };
  }

  /**
   * @param {number} floor
   * @param {number} width
   * @param {ReturnType<Chart["axis"]>} axis
   */
  lines(floor, width, axis) {
    const { points, item, span } = this;
    if (!span) return [];
    const two = item.kind === "interface";
    const { low, high, ticks, texts } = axis;
    this.y = (value) => floor - ((value - low) / (high - low)) * (floor - TOP);
    const parts = [];
    ticks.forEach((tick, i) => {
      const y = this.y(tick);
      parts.push(svg("line", { class: "grid", x1: this.left, x2: width - RIGHT, y1: y, y2: y }));
      parts.push(label(texts[i], this.left - 6, y + 4, "end"));
    });
    parts.push(...this.background(floor));
    for (const column of two ? [1, 0] : [0]) {
      const tops = runs(greatest(points), column, span.gap_us);
      for (const [i, run] of runs(points, column, span.gap_us).entries()) {
        if (tops[i].some(([, value], at) => value !== run[at][1])) {
          parts.push(svg("path", { class: column ? "spreadband second" : "spreadband", d: this.outline(run, tops[i]) }));
          continue;
        }
        const line = run.map(([time, value], at) => `${at ? "L" : "M"}${this.x(time).toFixed(1)} ${this.y(value).toFixed(1)}`).join("");
        if (column === 0 && run.length > 1 && low === 0) {
          parts.push(svg("path", { class: "area", d: `${line}L${this.x(run[run.length - 1][0]).toFixed(1)} ${floor}L${this.x(run[0][0]).toFixed(1)} ${floor}Z` }));
        }
        parts.push(svg("path", { class: column ? "line second" : "line", d: run.length > 1 ? line : `${line}h0.1` }));
      }
    }
    return parts;
  }

  /**
   * The line around what is between the least and the greatest values.
   * @param {[number, number][]} least
   * @param {[number, number][]} most
   */
  outline(least, most) {
    const around = least.length > 1 ? [...most, ...[...least].reverse()] : [...most, ...least, [least[0][0] + 1, least[0][1]]];
    return `${around.map(([time, value], i) => `${i ? "L" : "M"}${this.x(time).toFixed(1)} ${this.y(value).toFixed(1)}`).join("")}Z`;
  }

  /**
   * A band for each stretch of one state, with its word.
   * @param {number} floor
   */
  words(floor) {
    const { points, item, span } = this;
    if (!span) return [];
    const known = Object.keys(item.states);
    const middle = (TOP + floor) / 2;
    const half = Math.min(22, (floor - TOP) / 2);
    this.y = () => middle;
    const parts = this.background(floor);
    for (const run of runs(points, 0, span.gap_us)) {
      let begin = 0;
      run.forEach(([time, value], i) => {
        const next = run[i + 1];
        if (next && next[1] === value) return;
        const x = this.x(run[begin][0]), end = this.x(next ? next[0] : time);
        const order = Math.max(0, known.indexOf(String(value)));
        const text = this.word(value);
        parts.push(svg("rect", { class: `stateband s${Math.min(order, 3)}`, x, y: middle - half, width: Math.max(2, end - x), height: 2 * half, rx: 3 }));
        if (end - x > 7 * text.length + 10) parts.push(label(text, x + 8, middle + 4, "start", "word"));
        begin = i + 1;
      });
    }
    return parts;
  }

  /**
   * A value as people read it.
   * @param {number | null | undefined} value
   */
  word(value) {
    const { item } = this;
    return (value !== null && value !== undefined && item.states[String(value)]) || quantity(value, item.unit);
  }

  summary() {
    const { item, points, span } = this;
    const spread = (/** @type {number} */ column) => {
      const values = [...points, ...greatest(points)].map((point) => point[1][column]).filter((value) => value !== null);
      if (!values.length) return "no values";
      const now = item.last?.[column] ?? values[values.length - 1];
      const when = span?.ending ? "last" : "now";
      if (item.kind === "state") return `${when} ${this.word(now)}`;
      return `${when} ${quantity(now, item.unit)}, from ${quantity(Math.min(...values), item.unit)} to ${quantity(Math.max(...values), item.unit)}`;
    };
    const minutes = span ? Math.round((span.to_us - span.from_us) / 60e6) : 0;
    const ending = { gapband: " Nothing was read since the last of them.", waitband: " Nothing has been delivered since the last of them." }[span?.ending ?? ""] ?? "";
    const words = item.kind === "interface" ? `in ${spread(0)}; out ${spread(1)}` : spread(0);
    return `${item.label}, last ${minutes > 120 ? `${Math.round(minutes / 60)} hours` : `${minutes} minutes`}: ${words}.${ending} Arrow keys read single values.`;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12 }[event.key];
    const last = this.points.length - 1;
    if (last < 0) return;
    if (step) this.show(Math.max(0, Math.min(last, (this.at ?? last) + (this.at === null ? 0 : step))));
    else if (event.key === "Home") this.show(0);
    else if (event.key === "End") this.show(last);
    else if (event.key === "Escape") this.show(null);
    else return;
    event.preventDefault();
    const live = document.getElementById("live");
    if (live) live.textContent = this.readout.textContent;
  }

  /** @param {number} x */
  point(x) {
    if (!this.points.length) return;
    let best = 0;
    this.points.forEach((point, i) => {
      if (Math.abs(this.x(point[0]) - x) < Math.abs(this.x(this.points[best][0]) - x)) best = i;
    });
    this.show(best);
  }

  /**
   * The values at one point, or the newest for null.
   * @param {number | null} at
   */
  show(at) {
    this.at = at;
    const point = at === null ? this.points.findLast((each) => each[1].some((value) => value !== null)) : this.points[at];
    this.marks.replaceChildren();
    if (!point) {
      this.readout.replaceChildren("–");
      return;
    }
    const [time, least, , most] = point;
    const values = at === null && this.item.last ? this.item.last : least;
    const tops = at === null || !most ? values : most;
    const when = at === null && !this.span?.ending ? [] : [`${clock(time, !most)}  `]; // what is old is not taken for the present
    const read = (/** @type {number} */ column) => (tops[column] === values[column] ? this.word(values[column]) : `${this.word(values[column])} to ${this.word(tops[column])}`);
    if (this.item.kind === "interface") this.readout.replaceChildren(...when, html("b", { className: "in", textContent: `in ${read(0)}` }), ", ", html("b", { className: "out", textContent: `out ${read(1)}` }));
    else this.readout.replaceChildren(...when, html("b", { textContent: read(0) }));
    if (at === null) return;
    const x = this.x(time);
    this.marks.append(svg("line", { class: "cross", x1: x, x2: x, y1: TOP, y2: this.svg.clientHeight - BOTTOM }));
    [...values, ...(most ?? [])].forEach((value, i) => {
      const column = i % values.length;
      if (value !== null) this.marks.append(svg("circle", { class: column ? "dot second" : "dot", cx: x, cy: this.y(value), r: 3.5 }));
    });
  }
}

/**
 * How many pixels a number of an axis takes at most, of any usual font.
 * @param {string} text
 */
function widthOf(text) {
  const narrow = text.replace(/[^,.\u202f]/g, "").length;
  return 7.2 * (text.length - narrow) + 4 * narrow;
}

/**
 * The points with their greatest values.
 * @param {Point[]} points
 * @returns {Point[]}
 */
function greatest(points) {
  return points.map(([time, values, late, most]) => [time, most ?? values, late]);
}

/**
 * Bars for batches: what came in time, and on top of it what was held back.
 * @param {HTMLElement} holder
 * @param {{at_us: number, metrics: number, late: number}[]} arrivals
 * @param {number} now_us
 */
export function drawBatches(holder, arrivals, now_us) {
  const width = holder.clientWidth || 600, height = 104, span = 10 * 60e6;
  const shown = arrivals.filter((each) => each.at_us > now_us - span);
  const most = Math.max(1, ...shown.map((each) => each.metrics));
  const x = (/** @type {number} */ time) => LEFT + ((time - now_us + span) / span) * (width - LEFT - RIGHT);
  const ticks = niceTicks(0, most);
  const unit = (height - TOP - BOTTOM) / ticks[ticks.length - 1];
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  drawing.setAttribute("aria-label", `${plural(shown.length, "batch", "batches")} in the last 10 minutes; the table below has them all`);
  const floor = height - BOTTOM;
  for (const tick of ticks) {
    drawing.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: floor - tick * unit, y2: floor - tick * unit }));
    drawing.append(label(quantity(tick, ""), LEFT - 6, floor - tick * unit + 4, "end"));
  }
  for (const minute of width < 520 ? [8, 4, 0] : [8, 6, 4, 2, 0]) {
    drawing.append(label(minute ? `${minute} min ago` : "now", x(now_us - minute * 60e6), height - 5, minute ? "middle" : "end"));
  }
  for (const each of shown) {
    const fresh = (each.metrics - each.late) * unit, late = each.late * unit;
    drawing.append(svg("rect", { class: "bar", x: x(each.at_us) - 5, width: 5, y: floor - fresh, height: fresh, rx: 1.5 }));
    if (late) drawing.append(svg("rect", { class: "bar late", x: x(each.at_us) - 5, width: 5, y: floor - fresh - late, height: late, rx: 1.5 }));
  }
  holder.replaceChildren(drawing);
}

/**
 * A line without axes, for the list.
 * @param {[number, number | null][]} points
 * @param {number} gap_us
 * @param {string} unit
 */
export function sparkline(points, gap_us, unit) {
  const drawing = svg("svg", { viewBox: "0 0 104 34", "aria-hidden": "true" });
  /** @type {number[]} */
  const values = [];
  for (const [, value] of points) if (value !== null) values.push(value);
  if (!values.length) return drawing;
  const { low, high } = scale(values, unit);
  const from = points[0][0], to = Math.max(points[points.length - 1][0], from + 1);
  const place = (/** @type {[number, number]} */ [time, value]) => `${(((time - from) / (to - from)) * 104).toFixed(1)} ${(31 - ((value - low) / (high - low)) * 28).toFixed(1)}`;
  /** @type {Point[]} */
  const lined = points.map(([time, value]) => [time, [value], false]);
  for (const run of runs(lined, 0, gap_us)) {
    drawing.append(svg("path", { class: "line", d: run.map((point, i) => (i ? "L" : "M") + place(point)).join("") + (run.length > 1 ? "" : "h0.1") }));
  }
  return drawing;
}
