// Charts as SVG: one or two lines over time, with gaps hatched and what arrived late tinted. Read by pointer, keys and ear.

import { clock, quantity, rate } from "./format.js";

const NS = "http://www.w3.org/2000/svg";
const LEFT = 52, RIGHT = 8, TOP = 8, BOTTOM = 20;

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export function html(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// A figure that draws itself again with each set of points: [[time_us, [values], late], ...].
export class Chart {
  constructor(item) {
    this.item = item;
    this.readout = html("span");
    this.svg = svg("svg", { role: "img", tabindex: "0" });
    this.element = html("figure", { className: "chart" }, html("figcaption", {}, html("span", { textContent: item.label }), this.readout), this.svg);
    this.element.dataset.item = item.id;
    this.at = null;
    this.svg.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.show(null));
    this.svg.addEventListener("blur", () => this.show(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  update(data, points) {
    this.data = data;
    this.points = points;
    this.element.dataset.points = points.length;
    this.draw();
  }

  draw() {
    const { data, points, item } = this;
    const width = this.svg.clientWidth || 340, height = this.svg.clientHeight || 128;
    this.width = width;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const two = item.kind === "interface";
    const all = points.flatMap((point) => point[1]).filter((value) => value !== null);
    let low = all.length ? Math.min(...all) : 0, high = all.length ? Math.max(...all) : 1;
    if (two) low = 0;
    const least = two ? 1000 : Math.max(Math.abs(high) * 0.02, 0.2);
    if (high - low < least) {
      const middle = (high + low) / 2;
      [low, high] = two ? [0, Math.max(high, 1000)] : [middle - least / 2, middle + least / 2];
    }
    const ticks = niceTicks(low, high);
    low = Math.min(low, ticks[0]);
    high = Math.max(high, ticks.at(-1));
    this.x = (time) => LEFT + ((time - data.from_us) / (data.to_us - data.from_us)) * (width - LEFT - RIGHT);
    this.y = (value) => height - BOTTOM - ((value - low) / (high - low)) * (height - TOP - BOTTOM);
    const parts = [hatch()];
    for (const tick of ticks) {
      const y = this.y(tick);
      parts.push(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }));
      parts.push(label(two ? shortRate(tick) : quantity(tick, ""), LEFT - 6, y + 4, "end"));
    }
    for (const time of timeTicks(data.from_us, data.to_us)) {
      if (this.x(time) < width - RIGHT - 14) parts.push(label(clock(time, (data.to_us - data.from_us) < 6 * 60e6), this.x(time), height - 5, "middle"));
    }
    for (const [kind, from, to] of bands(points, data.gap_us)) {
      const x = this.x(Math.max(from, data.from_us));
      parts.push(svg("rect", { class: kind, x, y: TOP, width: Math.max(1, this.x(to) - x), height: height - TOP - BOTTOM }));
    }
    for (const column of two ? [1, 0] : [0]) {
      for (const run of runs(points, column, data.gap_us)) {
        const line = run.map(([time, value], i) => `${i ? "L" : "M"}${this.x(time).toFixed(1)} ${this.y(value).toFixed(1)}`).join("");
        if (column === 0 && run.length > 1) {
          const floor = height - BOTTOM;
          parts.push(svg("path", { class: "area", d: `${line}L${this.x(run.at(-1)[0]).toFixed(1)} ${floor}L${this.x(run[0][0]).toFixed(1)} ${floor}Z` }));
        }
        parts.push(svg("path", { class: column ? "line second" : "line", d: run.length > 1 ? line : `${line}h0.1` }));
      }
    }
    this.marks = svg("g");
    this.svg.replaceChildren(...parts, this.marks);
    this.svg.setAttribute("aria-label", this.summary(all));
    this.show(this.at);
  }

  summary(all) {
    const { item, points } = this;
    if (!all.length) return `${item.label}: no values in the last 30 minutes`;
    const spread = (column) => {
      const values = points.map((point) => point[1][column]).filter((value) => value !== null);
      return `now ${quantity(values.at(-1), item.unit)}, from ${quantity(Math.min(...values), item.unit)} to ${quantity(Math.max(...values), item.unit)}`;
    };
    const words = item.kind === "interface" ? `in ${spread(0)}; out ${spread(1)}` : spread(0);
    return `${item.label}, last ${Math.round((this.data.to_us - this.data.from_us) / 60e6)} minutes: ${words}. Arrow keys read single values.`;
  }

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
    document.getElementById("live").textContent = this.readout.textContent;
  }

  point(x) {
    if (!this.points?.length) return;
    let best = 0;
    this.points.forEach((point, i) => {
      if (Math.abs(this.x(point[0]) - x) < Math.abs(this.x(this.points[best][0]) - x)) best = i;
    });
    this.show(best);
  }

  // The values at one point, or the newest for null.
  show(at) {
    this.at = at;
    const point = at === null ? this.points?.findLast((each) => each[1].some((value) => value !== null)) : this.points?.[at];
    this.marks?.replaceChildren();
    if (!point) {
      this.readout.replaceChildren("–");
      return;
    }
    const [time, values] = point;
    const when = at === null ? [] : [`${clock(time)}  `];
    if (this.item.kind === "interface") {
      this.readout.replaceChildren(...when, html("b", { className: "in", title: "received" }, html("span", { className: "hidden", textContent: "in " }), rate(values[0])), html("b", { className: "out", title: "sent" }, html("span", { className: "hidden", textContent: "out " }), rate(values[1])));
    } else {
      this.readout.replaceChildren(...when, html("b", { textContent: quantity(values[0], this.item.unit) }));
    }
    if (at === null) return;
    const x = this.x(time);
    this.marks.append(svg("line", { class: "cross", x1: x, x2: x, y1: TOP, y2: this.svg.clientHeight - BOTTOM }));
    values.forEach((value, column) => {
      if (value !== null) this.marks.append(svg("circle", { class: column ? "dot second" : "dot", cx: x, cy: this.y(value), r: 3.5 }));
    });
  }
}

// Bars for batches: what came in time, and on top of it what was held back.
export function drawBatches(holder, arrivals, now_us) {
  const width = holder.clientWidth || 600, height = 104, span = 10 * 60e6;
  const shown = arrivals.filter((each) => each.at_us > now_us - span);
  const most = Math.max(1, ...shown.map((each) => each.metrics));
  const x = (time) => LEFT + ((time - now_us + span) / span) * (width - LEFT - RIGHT);
  const scale = (height - TOP - BOTTOM) / niceTicks(0, most).at(-1);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  drawing.setAttribute("aria-label", `${shown.length} batches in the last 10 minutes; the table below has them all`);
  const floor = height - BOTTOM;
  for (const tick of niceTicks(0, most)) {
    drawing.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: floor - tick * scale, y2: floor - tick * scale }));
    drawing.append(label(quantity(tick, ""), LEFT - 6, floor - tick * scale + 4, "end"));
  }
  for (const minute of width < 520 ? [8, 4, 0] : [8, 6, 4, 2, 0]) {
    drawing.append(label(minute ? `${minute} min ago` : "now", x(now_us - minute * 60e6), height - 5, minute ? "middle" : "end"));
  }
  for (const each of shown) {
    const fresh = (each.metrics - each.late) * scale, late = each.late * scale;
    drawing.append(svg("rect", { class: "bar", x: x(each.at_us) - 5, width: 5, y: floor - fresh, height: fresh, rx: 1.5 }));
    if (late) drawing.append(svg("rect", { class: "bar late", x: x(each.at_us) - 5, width: 5, y: floor - fresh - late, height: late, rx: 1.5 }));
  }
  holder.replaceChildren(drawing);
}

// A line without axes, for the list.
export function sparkline(points, gap_us) {
  const drawing = svg("svg", { viewBox: "0 0 104 34", "aria-hidden": "true" });
  const values = points.map((point) => point[1]).filter((value) => value !== null);
  if (!values.length) return drawing;
  let low = Math.min(...values), high = Math.max(...values);
  const least = Math.max(Math.abs(high) * 0.03, 0.5);
  if (high - low < least) [low, high] = [(low + high - least) / 2, (low + high + least) / 2];
  const from = points[0][0], to = Math.max(points.at(-1)[0], from + 1);
  const place = ([time, value]) => `${(((time - from) / (to - from)) * 104).toFixed(1)} ${(31 - ((value - low) / (high - low)) * 28).toFixed(1)}`;
  for (const run of runs(points.map(([time, value]) => [time, [value]]), 0, gap_us)) {
    drawing.append(svg("path", { class: "line", d: run.map((point, i) => (i ? "L" : "M") + place(point)).join("") + (run.length > 1 ? "" : "h0.1") }));
  }
  return drawing;
}

// Stretches of neighbours that have a value.
function runs(points, column, gap_us) {
  const found = [];
  let before = -Infinity;
  for (const [time, values] of points) {
    if (values[column] === null) {
      before = -Infinity;
      continue;
    }
    if (time - before > gap_us) found.push([]);
    found.at(-1).push([time, values[column]]);
    before = time;
  }
  return found;
}

// Late values and gaps: [class, from, to].
function bands(points, gap_us) {
  const found = [];
  points.forEach(([time, , late], i) => {
    const before = i ? points[i - 1][0] : time;
    if (time - before > gap_us) found.push(["gapband", before, time]);
    else if (late && found.at(-1)?.[0] === "lateband" && found.at(-1)[2] === before) found.at(-1)[2] = time;
    else if (late) found.push(["lateband", before, time]);
  });
  return found;
}

function niceTicks(low, high) {
  const rough = (high - low) / 2;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.999);
  const ticks = [];
  for (let tick = Math.floor(low / step) * step; tick < high + step * 0.999; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return ticks;
}

// Round times of the clock, three or four of them.
function timeTicks(from, to) {
  const step = [60e6, 120e6, 300e6, 600e6].find((each) => (to - from) / each <= 4) ?? 600e6;
  const ticks = [];
  for (let time = Math.ceil(from / step) * step; time < to; time += step) ticks.push(time);
  return ticks;
}

function shortRate(bps) {
  return bps === 0 ? "0" : rate(bps).replace("bit/s", "").replace(" ", "\u202f");
}

function label(text, x, y, anchor) {
  return svg("text", { x, y, "text-anchor": anchor }, text);
}

function hatch() {
  const pattern = svg("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(svg("line", { class: "hatchline", x1: 0, y1: 0, x2: 0, y2: 6 }));
  return svg("defs", {}, pattern);
}
