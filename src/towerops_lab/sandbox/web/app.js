// The page: listens to the sandbox's stream of states, and draws the site from them. Nothing is computed here that a server would store.

import { Chart, drawBatches, html, sparkline } from "./chart.js";
import { clock, duration, number, plural, quantity, rate, size } from "./format.js";

const QUIET_S = 40; // batches come every 30 s: after this long without one, values are waiting at the agent

const $ = (id) => document.getElementById(id);
let state = null;
let skew_us = 0; // this machine's clock minus the sandbox's
let chosen = null;
let charts = new Map();
let chartsOf = null;
const cards = new Map();
const switches = new Map();
const states = new Map();

const now_us = () => Date.now() * 1000 - skew_us;

function listen() {
  const stream = new EventSource("page/events");
  stream.onmessage = (event) => {
    state = JSON.parse(event.data);
    skew_us = Date.now() * 1000 - state.now_us;
    notice("");
    draw();
  };
  stream.onerror = () => notice("The sandbox does not answer: it has been stopped, or is on its way back. Trying again …");
}

function notice(text) {
  if ($("notice").textContent === text) return;
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function draw() {
  document.title = `${state.title} · Towerops`;
  $("title").textContent = state.title;
  $("about").textContent = state.about;
  drawDevices();
  drawSwitches($("switches"), (each) => each.group === "api" || each.group === "site");
  drawDetail();
  drawArrivals();
  drawTiles();
}

function drawTiles() {
  if (!state) return;
  const down = state.devices.filter((device) => device.state !== "up");
  const up = state.devices.length - down.length;
  const last = state.arrivals.at(-1);
  const quiet_s = last ? (now_us() - last.at_us) / 1e6 : 0;
  document.body.classList.toggle("empty", !state.devices.length);
  set("tile-devices", state.devices.length ? `${up} of ${state.devices.length} up` : "None yet", down.some((device) => device.state === "down") ? "bad" : "");
  const more = state.device_count - state.devices.length;
  $("tile-devices-note").textContent = quiet_s > QUIET_S ? `as of ${clock(last.at_us)}; nothing has arrived since` : down.length ? `${down.map((device) => device.name).slice(0, 3).join(", ")}${down.length > 3 ? ", …" : ""}: ${down.length > 1 ? "look below" : word(down[0].state).toLowerCase()}` : more > 0 ? `${more} more are not shown` : state.devices.length ? "each answers as it should" : "the configuration lists no equipment";

  const beat = state.heartbeat;
  const beatAge = beat ? (now_us() - beat.heard_us) / 1e6 : null;
  set("tile-agent", beat ? (beatAge < 95 ? "Alive" : "Silent") : "Not heard yet", beat && beatAge >= 95 ? "bad" : "");
  $("tile-agent-note").textContent = beat ? `heartbeat ${duration(beatAge)} ago, version ${beat.version} on ${beat.hostname}` : "it sends a heartbeat each minute";

  set("tile-batch", last ? `${duration(quiet_s)} ago` : "None yet", quiet_s > QUIET_S ? "warn" : "");
  $("tile-batch-note").textContent = last ? `${plural(last.metrics, "value")}; ${plural(state.metrics, "value")} in all` : "the first comes at once";

  const barred = state.switches.some((each) => each.on && (each.id === "api-cut" || each.id === "api-refuse"));
  const filling = last && last.late > 0 && quiet_s < QUIET_S;
  if (last && (barred || quiet_s > QUIET_S)) {
    set("tile-backlog", `≈ ${number(Math.round(quiet_s * state.expected_per_s))} values`, "warn");
    $("tile-backlog-note").textContent = "kept by the agent until they can be delivered";
  } else if (filling) {
    set("tile-backlog", "Draining", "warn");
    $("tile-backlog-note").textContent = `values up to ${duration(last.oldest_s)} old came with the last batch`;
  } else {
    set("tile-backlog", last ? "None" : "–", "");
    $("tile-backlog-note").textContent = state.late ? `${plural(state.late, "value")} came late; ${state.gaps ? plural(state.gaps, "gap") : "no gap"} in the charts` : last ? "all values come in time" : "nothing has arrived";
  }
}

function set(id, text, kind) {
  $(id).textContent = text;
  $(id).className = `figure ${kind}`;
}

function drawDevices() {
  if (!state.devices.some((device) => device.id === chosen)) choose(fromAddress() ?? state.devices[0]?.id ?? null);
  for (const device of state.devices) {
    if (!cards.has(device.id)) cards.set(device.id, makeCard(device));
    const card = cards.get(device.id);
    card.name.textContent = device.name;
    card.state.textContent = word(device.state);
    card.state.className = `state ${device.state}`;
    card.why.textContent = device.state === "up" ? "" : device.reason;
    const first = device.items[0];
    card.what.textContent = first?.label ?? "";
    card.value.textContent = first ? shown(first) : "";
    card.spark.replaceChildren(...sparkline(device.spark, device.interval_s * 2.25e6 * Math.max(1, device.spark.length / 40) + 1e6).childNodes);
    card.link.dataset.state = device.state;
    if (device.id === chosen) card.link.setAttribute("aria-current", "true");
    else card.link.removeAttribute("aria-current");
    announce(device);
  }
  for (const [id, card] of cards) {
    if (!state.devices.some((device) => device.id === id)) {
      card.item.remove();
      cards.delete(id);
    }
  }
}

function makeCard(device) {
  const card = { name: html("span", { className: "name" }), state: html("span", { className: "state" }), what: html("span", { className: "what" }), value: html("span", { className: "value" }), why: html("span", { className: "why" }), spark: sparkline([], 1) };
  const head = html("span", { className: "row" }, card.name, card.state);
  const body = html("span", { className: "row" }, html("span", {}, card.what, card.value), card.spark);
  card.link = html("a", { className: "device", href: `#${encodeURIComponent(device.id)}` }, head, body, card.why);
  card.link.dataset.device = device.id;
  card.link.addEventListener("click", (event) => {
    event.preventDefault();
    history.replaceState(null, "", card.link.hash);
    choose(device.id);
    draw();
    $("detail").focus({ preventScroll: true });
    if (matchMedia("(max-width: 900px)").matches) $("detail").scrollIntoView();
  });
  card.item = html("li", {}, card.link);
  $("devices").append(card.item);
  return card;
}

function announce(device) {
  const before = states.get(device.id);
  states.set(device.id, device.state);
  if (before && before !== device.state) $("live").textContent = `${device.name} is ${word(device.state)}${device.reason ? `: ${device.reason}` : ""}`;
}

const word = (each) => ({ up: "Up", down: "Down", degraded: "Degraded", unknown: "Unknown" })[each] ?? each;

function shown(item) {
  if (item.kind === "interface") return item.value.length ? `${rate(item.value[0])} in` : "–";
  return item.value.length ? quantity(item.value[0], item.unit) : "–";
}

function fromAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  return state.devices.some((device) => device.id === id) ? id : null;
}

function choose(id) {
  chosen = id;
}

function drawSwitches(holder, belongs) {
  const wanted = state.switches.filter(belongs);
  const elements = wanted.map((each) => {
    if (!switches.has(each.id)) switches.set(each.id, makeSwitch(each));
    const element = switches.get(each.id);
    if (!each.momentary) element.setAttribute("aria-checked", String(each.on));
    return element;
  });
  if (elements.length !== holder.children.length || elements.some((element, i) => holder.children[i] !== element)) holder.replaceChildren(...elements);
}

function makeSwitch(each) {
  const explanation = html("small", { textContent: each.explanation, id: `about-${each.id}` });
  const element = html("button", { type: "button", className: each.momentary ? "switch push" : "switch" }, html("i", { ariaHidden: "true" }), html("b", { textContent: each.label }), explanation);
  if (!each.momentary) element.setAttribute("role", "switch");
  element.setAttribute("aria-label", each.label);
  element.setAttribute("aria-describedby", explanation.id);
  element.dataset.switch = each.id;
  element.addEventListener("click", async () => {
    const on = each.momentary || element.getAttribute("aria-checked") !== "true";
    if (!each.momentary) element.setAttribute("aria-checked", String(on));
    const answer = await fetch(`page/switches/${encodeURIComponent(each.id)}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ on }) }).catch(() => null);
    if (!answer?.ok) notice("The switch did not turn: the sandbox does not answer.");
    else if (each.momentary) $("live").textContent = `${each.label}: done`;
  });
  return element;
}

function drawDetail() {
  const device = state.devices.find((each) => each.id === chosen);
  if (!device) return;
  $("detail-title").textContent = device.name;
  const answered = device.response_ms ? `, answers in ${number(device.response_ms, 2)} ms` : "";
  $("detail-meta").textContent = `${device.address}, SNMP ${device.snmp}, polled every ${number(device.interval_s)} s${answered}`;
  $("detail-state").hidden = false;
  $("detail-state").textContent = word(device.state);
  $("detail-state").className = `state ${device.state}`;
  $("detail-reason").textContent = device.reason + (device.newest_us ? `, the last at ${clock(device.newest_us)}` : "");
  $("detail-reason").hidden = device.state === "up" || !device.reason;
  drawSwitches($("device-switches"), (each) => each.group === device.id);
  drawCharts(device);
}

let asking = "";
async function drawCharts(device) {
  const wanted = `${state.now_us} ${device.id}`;
  if (asking === wanted) return;
  asking = wanted;
  const answer = await fetch(`page/charts/${encodeURIComponent(device.id)}`).catch(() => null);
  if (!answer?.ok) return;
  const data = await answer.json();
  if (data.device !== chosen) return;
  if (chartsOf !== chosen || data.charts.length !== charts.size) {
    chartsOf = chosen;
    charts = new Map(data.charts.map((item) => [item.id, new Chart(item)]));
    $("charts").replaceChildren(...[...charts.values()].map((chart) => chart.element));
  }
  let marked = false;
  for (const item of data.charts) {
    charts.get(item.id)?.update(data, item.points);
    marked ||= item.points.some((point, i) => point[2] || (i && point[0] - item.points[i - 1][0] > data.gap_us));
  }
  $("legend").hidden = !marked;
}

function drawArrivals() {
  drawBatches($("batches-chart"), state.arrivals, now_us());
  $("batches-meta").textContent = `${plural(state.batches, "batch", "batches")}, ${plural(state.metrics, "value")}${state.repeats ? `, ${state.repeats} sent again and stored once` : ""}`;
  const rows = state.arrivals.slice(-12).reverse();
  $("batches-rows").replaceChildren(
    ...rows.map((each) => {
      const cells = [clock(each.at_us), number(each.metrics), number(each.late), duration(each.oldest_s), size(each.size_octets)].map((text, i) => html("td", { textContent: text, className: i ? "number" : "" }));
      return html("tr", {}, ...cells, html("td", {}, html("code", { textContent: each.key.slice(0, 18) })));
    }),
  );
}

addEventListener("hashchange", () => {
  if (state && fromAddress()) {
    choose(fromAddress());
    draw();
  }
});
let resized;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => {
    for (const chart of charts.values()) if (chart.points) chart.draw();
    if (state) drawArrivals();
  }, 120);
});
setInterval(() => {
  drawTiles();
  if (state) drawBatches($("batches-chart"), state.arrivals, now_us());
}, 1000);
listen();
