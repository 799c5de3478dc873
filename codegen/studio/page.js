// The page: loads the flight, keeps its time, and shows it.

import { Strip } from "./charts.js";
import { cards, element, report } from "./cards.js";
import { Flight } from "./flight.js";
import { model } from "./models.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const LONGEST_S = 0.1; // a frame that took longer loses time instead of hurrying after it
const PUSH_S = 0.15;
const AGAIN_S = 2.5; // from the loss of all to the next start

const facts = await (await fetch("facts.json")).json();
const flight = await Flight.load(facts).catch(fail);
const n = flight.crafts.length;
const studio = {
  facts, flight, model: model(facts), running: true, slow: false, apart: n > 1, lostFor: 0,
  shown: facts.controllers.map(() => true), style: style(),
};
window.studio = studio; // for the console, and for tests
const stage = picture();

const hurry = facts.period_s > 0.05 ? Math.round(20 * facts.period_s) : 1; // a slow plant flies so many times as fast
const seconds = 8 * hurry; // in the charts
const words = (name) => name.replaceAll("_", " ");
const errors = facts.scores.length ? facts.scores[0] : { name: "margin", unit: "1" };
const charts = [
  new Strip($("charts"), { seconds, title: words(errors.name), unit: errors.unit, crafts: n, least: 0.01 }),
  new Strip($("charts"), { seconds, title: "commands", crafts: n, rows: facts.actions.length,
    range: [Math.min(...facts.actions.map((a) => a.low)), Math.max(...facts.actions.map((a) => a.high))] }),
];
const gap = studio.model ? { title: "apart", unit: "mm", least: 0.1 } : { title: "commands apart", least: 1e-4 };
const between = n > 1 ? new Strip($("charts"), { seconds, crafts: 1, ...gap }) : null;
if (between) charts.push(between);
const states = studio.model ? [] : facts.states.slice(0, 12).map((s) =>
  new Strip($("states"), { seconds, title: words(s.name), unit: s.unit, crafts: n, from: null, least: 1e-3 }));
charts.push(...states);

const error = (craft) => {
  const x = craft.against(flight.reference.now);
  return flight.plant.call(facts.scores.length ? "score" : "margin", x)[0];
};

// One control period of all crafts, and a sample of each chart.
function tick() {
  for (const craft of flight.crafts) craft.previous = craft.x;
  flight.period();
  const { time, crafts, parameters: p } = flight, here = (craft, value) => (craft.lost === null ? value : NaN);
  for (const craft of crafts) craft.error = error(craft);
  charts[0].push(time, crafts.map((c) => here(c, c.error)));
  charts[1].push(time, crafts.flatMap((c) => Array.from(c.applied, (v) => here(c, v))));
  if (between) {
    const [a, b] = crafts;
    studio.gap = here(a, here(b, studio.model
      ? 1000 * Math.hypot(...studio.model.anchor(a.x, p).map((v, i) => v - studio.model.anchor(b.x, p)[i]))
      : Math.max(...a.applied.map((v, i) => Math.abs(v - b.applied[i])))));
    between.push(time, [studio.gap]);
  }
  states.forEach((strip, i) => strip.push(time, crafts.map((c) => here(c, c.x[i]))));
  stage?.sample();
}

function reset(start) {
  flight.reset(start);
  for (const craft of flight.crafts) Object.assign(craft, { previous: craft.x, error: error(craft) });
  for (const chart of charts) chart.clear();
  studio.lostFor = 0;
  stage?.clear();
}

// A push of a weight, or of twenty times what is usual, along `way` in the world or in one drawn by chance.
function push(way) {
  const d = new Float32Array(flight.wind.length), angle = Math.random() * 2 * Math.PI;
  if (studio.model?.weight) {
    const to = way ?? [Math.cos(angle), Math.sin(angle), 0];
    to.forEach((v, i) => (d[i] = studio.model.weight * v));
  } else d[0] = 20 * (facts.disturbances[0]?.typical ?? 0) * Math.sign(way ? way[0] : Math.cos(angle));
  flight.push(d, PUSH_S);
}

// Null where there is nothing to draw, or nothing to draw with: then charts of the states are in its place.
function picture() {
  try {
    if (studio.model) return new Stage($("view"), studio);
  } catch (error) {
    console.info(`no picture: ${error.message}`);
    studio.model = null;
  }
  $("view").hidden = true;
  return null;
}

cards($("cards"), studio);
Object.assign(studio, { tick, reset, push, stage, charts });
reset(0);
studio.ready = true;

// --- buttons and keys ------------------------------------------------------------------------------------------------

const toggle = (id, key) => () => {
  studio[key] = !studio[key];
  $(id).setAttribute("aria-pressed", studio[key]);
};
const doing = {
  pause: () => {
    studio.running = !studio.running;
    $("pause").textContent = studio.running ? "Pause" : "Fly on";
  },
  reset: () => reset(),
  next: () => reset(flight.start + 1),
  push: () => push(),
  slow: toggle("slow", "slow"),
  apart: toggle("apart", "apart"),
};
for (const [id, act] of Object.entries(doing)) $(id).addEventListener("click", act);
$("apart").hidden = n < 2 || !stage;
$("apart").setAttribute("aria-pressed", studio.apart);
const KEYS = { " ": "pause", r: "reset", n: "next", p: "push", s: "slow", d: "apart" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
  const act = KEYS[event.key.toLowerCase()], arrow = event.target === $("view") && ARROWS[event.key];
  const taken = event.key === " " && ![$("view"), document.body].includes(event.target); // it presses a button
  if (arrow && event.shiftKey) stage.orbit(20 * arrow[0], 20 * arrow[1]);
  else if (arrow) push(stage.ground(arrow));
  else if (stage && "+-".includes(event.key)) stage.zoom(event.key === "+" ? 0.9 : 1 / 0.9);
  else if (act && !taken && !$(act).hidden) doing[act]();
  else return;
  event.preventDefault();
});
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => (studio.style = style()));

// --- what is told ----------------------------------------------------------------------------------------------------

document.title = `${facts.plant} - tinyctl studio`;
$("what").textContent = `${words(facts.plant)}, ${words(facts.task)}, ${Math.round(1 / facts.period_s)} Hz`;
$("hint").textContent = stage?.pulls ? studio.model.hint : "Drag to look around; scroll or pinch to come closer.";
$("hint").hidden = !stage;
$("push").hidden = !facts.disturbances.length;
const keys = "Arrow keys push it, with Shift they look around; + and - zoom.";
$("view").setAttribute("aria-label", `The ${words(facts.plant)} in flight. ${keys}`);
const legend = facts.controllers.map((record, i) => {
  const dot = element("span", { className: "dot" }), told = element("output", { ariaLive: "off" }); // always new
  dot.style.setProperty("--own", `var(--c${i})`);
  $("legend").append(element("li", {}, dot, record.name, told));
  return told;
});

function tell() {
  const speed = hurry * (studio.slow ? 0.1 : 1), pace = speed === 1 ? "" : `${+speed.toPrecision(2)} times the speed`;
  const how = element("small", { textContent: studio.running ? pace : "paused" });
  $("clock").replaceChildren(`${flight.time.toFixed(2)} s`, how);
  const unit = errors.unit === "1" ? "" : ` ${errors.unit}`;
  flight.crafts.forEach((craft, i) => {
    const lost = craft.lost !== null;
    legend[i].textContent = lost ? `lost after ${craft.lost.toFixed(2)} s` : `${craft.error.toFixed(3)}${unit}`;
    legend[i].classList.toggle("bad", lost);
  });
  charts[0].tell(flight.crafts.map((c) => (c.lost === null ? c.error.toFixed(3) : "lost")), studio.style);
  if (between) between.tell([Number.isFinite(studio.gap) ? String(+studio.gap.toPrecision(3)) : ""], studio.style);
  report(studio);
}

// Colours of the page's theme, for what CSS does not paint.
function style() {
  const read = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colours = facts.controllers.map((_, i) => read(`--c${i}`));
  const numbers = (name) => read(name).split(" ").map(Number);
  return { colours, soft: read("--soft"), edge: read("--edge"), ground: numbers("--ground"), grid: numbers("--grid"),
    light: matchMedia("(prefers-color-scheme: light)").matches };
}

function fail(error) {
  $("failure").textContent = `The studio cannot fly: ${error.message ?? error}`;
  $("failure").hidden = false;
  throw error;
}

// --- time ------------------------------------------------------------------------------------------------------------

let last = performance.now(), owed = 0, told = 0, shown = 0;
function frame(now) {
  const elapsed = Math.min(LONGEST_S, Math.max(0, now - last) / 1000);
  last = now;
  const passed = studio.running ? elapsed * (studio.slow ? 0.1 : 1) : 0;
  shown += passed;
  owed += passed * hurry;
  for (; owed >= facts.period_s; owed -= facts.period_s) tick();
  if (studio.running && flight.crafts.every((c) => c.lost !== null)) studio.lostFor += elapsed;
  if (studio.lostFor > AGAIN_S) doing.next();
  stage?.draw(owed / facts.period_s, shown);
  for (const chart of charts) chart.draw(studio.style, chart === between ? [true] : studio.shown);
  if (now - told > 100) {
    told = now;
    tell();
  }
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
