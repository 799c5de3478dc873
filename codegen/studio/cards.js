// The settings beside the picture, and what is known of each controller.

import { MOST_DELAY_S } from "./flight.js";

const TIMED_STEPS = 200;
const TIMED_MS = 1500; // between two measurements

const words = (name) => name.replaceAll("_", " ");

export function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

function card(parent, title, ...children) {
  const made = element("fieldset", {}, element("legend", { textContent: title }), ...children);
  parent.append(made);
  return made;
}

const defaults = []; // what puts each setting back

// A slider with its name and its value, which begins as `value`; `tell` makes its text, `act` takes it.
function slider(label, value, [min, max, step = (max - min) / 200], tell, act) {
  const input = element("input", { type: "range" }), told = element("output");
  Object.assign(input, { min, max, step });
  input.value = value;
  const changed = () => {
    const near = Math.abs(input.value - value) <= step / 2, v = near ? value : Number(input.value); // the very value
    told.textContent = tell(v);
    input.setAttribute("aria-valuetext", told.textContent);
    told.classList.toggle("changed", !near);
    act(v);
  };
  input.addEventListener("input", changed);
  defaults.push(() => {
    input.value = value;
    changed();
  });
  changed();
  const name = element("span", { textContent: label, title: label });
  return element("label", { className: "row" }, name, input, told);
}

function check(label, value, act) {
  const input = element("input", { type: "checkbox", checked: value });
  input.addEventListener("change", () => act(input.checked));
  defaults.push(() => {
    input.checked = value;
    act(value);
  });
  return element("label", { className: "check" }, input, label);
}

export function cards(parent, studio) {
  const { facts, flight } = studio;
  parent.append(controllers(studio));
  if (facts.reference.length) card(parent, "Fly to", ...goals(flight));
  card(parent, "Disturb", ...disturbances(studio));
  const [first, ...others] = facts.parameters.map((q, i) => parameter(flight, q, i));
  if (first) {
    const more = element("details", {}, element("summary", { textContent: "All parameters" }), ...others);
    card(parent, "Plant", first, ...(others.length > 3 ? [more] : others));
  }
  const again = element("button", { type: "button", textContent: "All settings as at first" });
  again.addEventListener("click", () => defaults.forEach((put) => put()));
  parent.append(again);
}

// A choice among [value, text] pairs, the first of which is the default.
function choice(label, pairs, act) {
  const pick = element("select", {}, ...pairs.map(([value, textContent]) => element("option", { value, textContent })));
  pick.addEventListener("change", () => act(pick.value));
  defaults.push(() => {
    pick.selectedIndex = 0;
    act(pick.value);
  });
  return element("label", { className: "row" }, element("span", { textContent: label }), pick);
}

function goals(flight) {
  const laps = [[0, "a set-point"], ...[7, 5.5, 4.5].map((s) => [s, `a figure-eight, ${s} s`])];
  return [
    choice("follow", laps, (lap) => {
      flight.reference.reset();
      flight.reference.lap = Number(lap);
    }),
    ...["x", "y", "z"].map((label, i) => slider(label, 0, [i === 2 ? -0.7 : -1, 1, 0.01], (v) => `${v.toFixed(2)} m`,
      (v) => (flight.reference.point = flight.reference.point.map((w, k) => (k === i ? v : w))))),
  ];
}

function disturbances({ facts, flight, model }) {
  const rows = [], percent = (v) => `${Math.round(100 * v)} %`;
  if (model?.weight) {
    const wind = { size: 0, heading: 0 };
    const blow = (change) => {
      Object.assign(wind, change);
      const force = wind.size * model.weight, a = wind.heading * Math.PI / 180;
      flight.wind[0] = force * Math.cos(a);
      flight.wind[1] = force * Math.sin(a);
    };
    rows.push(
      slider("wind", 0, [0, 0.6, 0.01], (v) => `${percent(v)} g`, (size) => blow({ size })),
      slider("towards", 45, [0, 360, 5], (v) => `${v}°`, (heading) => blow({ heading })),
    );
  } else {
    facts.disturbances.slice(0, 3).forEach((q, i) => {
      const most = 15 * q.typical || 1;
      const tell = (v) => `${v.toPrecision(2)} ${q.unit}`;
      rows.push(slider(words(q.name), 0, [-most, most], tell, (v) => (flight.wind[i] = v)));
    });
  }
  if (facts.disturbances.length) rows.push(
    slider("gusts", 0, [0, 1], percent, (v) => (flight.gusts = v)),
    check("constant disturbance of the start", true, (on) => (flight.drawnScale = on ? 1 : 0)),
  );
  const delay = (v) => `+ ${Math.round(1000 * v)} ms`;
  rows.push(
    slider("delay", 0, [0, MOST_DELAY_S, 0.001], delay, (v) => (flight.extraDelay = v)),
    slider("sensor noise", 1, [0, 20, 0.5], (v) => `× ${v}`, (v) => (flight.noiseScale = v)),
  );
  const sensors = [{ name: "all", first: 0, count: facts.observations.length }, ...facts.sensors];
  const kinds = [["none", "none"], ["lost", "lost: every value NaN"], ["stuck", "stuck"], ["late", "50 ms late"],
    ["flipped", "sign flipped"]];
  rows.push(choice("sensor fault", kinds, (kind) => (flight.fault = { ...flight.fault, kind })));
  if (sensors.length > 2) {
    const some = sensors.map((sensor, i) => [i, sensor.name]);
    rows.push(choice("of sensor", some, (i) => (flight.fault = { ...sensors[i], kind: flight.fault.kind })));
  }
  return rows;
}

function parameter(flight, q, i) {
  const range = q.nominal > 0 ? [q.nominal / 2, q.nominal * 2] : [q.low, Math.max(q.high, q.low + 1e-6)];
  const unit = q.unit === "1" ? "" : ` ${q.unit}`, gram = q.unit === "kg" && q.nominal < 0.5;
  const tell = (v) => (gram ? `${(1000 * v).toFixed(1)} g` : `${+v.toPrecision(3)}${unit}`);
  return slider(words(q.name), q.nominal, range, tell, (v) => (flight.parameters[i] = v));
}

// --- what is known of each controller --------------------------------------------------------------------------------

const fine = (textContent) => element("p", { className: "fine", textContent });
const told = []; // by controller: the elements that change

function controllers(studio) {
  const made = element("fieldset", {}, element("legend", { textContent: "Controllers" }));
  studio.facts.controllers.forEach((record, i) => {
    const dot = element("span", { className: "dot" }), name = element("b", { textContent: record.name });
    const show = element("input", { type: "checkbox", checked: true, ariaLabel: `Show ${record.name}` });
    dot.style.setProperty("--own", `var(--c${i})`);
    show.addEventListener("change", () => (studio.shown[i] = show.checked));
    const save = element("button", { type: "button", textContent: "Log" });
    save.title = "Save what it was given and gave, every bit: for hil --replay and identify";
    save.addEventListener("click", () => download(`${record.name}.csv`, studio.flight.recording(i)));
    const here = fine(""), guard = fine("");
    const graph = `${record.formats.join(", ")}, graph ${record.graph_hash.slice(0, 8)}`;
    const head = element("p", {}, show, dot, name, save);
    made.append(element("div", { className: "one" }, head, fine(graph), ...timing(record), here, guard));
    told.push({ here, guard });
  });
  return made;
}

function timing({ timing: t, delay_s }) {
  const late = `${(delay_s * 1e6).toFixed(0)} us`;
  if (!t) return [fine(`Its actions are ${late} late. Not timed for a board.`)];
  const load = element("meter", { min: 0, max: 1, low: 0.7, high: 0.9, optimum: 0, value: Math.min(1, t.load) });
  load.title = `${t.board}: share of the deadline`;
  const good = t.verdict === "pass", [worst, deadline] = [t.time_us_worst, t.deadline_us].map((us) => us.toFixed(0));
  const kept = `${(t.flash_bytes / 1000).toFixed(1)} kB flash, ${t.ram_bytes} B RAM, ${t.stack_bytes} B stack`;
  const verdict = element("output", { className: good ? "good" : "bad", textContent: good ? "in time" : "fails" });
  return [
    element("p", { className: "fine" }, t.board, verdict),
    load,
    fine(`${t.cycles_worst.toLocaleString("en")} cycles at worst: ${worst} of ${deadline} us`),
    fine(good ? kept : t.reasons.join("; ")),
  ];
}

let timed = 0;

// Times a step here now and then, and tells what the status words say.
export function report({ flight, facts }) {
  const again = performance.now() - timed > TIMED_MS;
  if (again) timed = performance.now();
  flight.crafts.forEach((craft, i) => {
    const { controller, status, seen } = craft, { here, guard } = told[i];
    if (again) {
      const test = controller.selftest === 0 ? "self-test passed" : `self-test returned ${controller.selftest}`;
      here.textContent = `${controller.time(TIMED_STEPS).toFixed(1)} us a step here, ${test}`;
    }
    const said = [...seen].map(([bit, steps]) => `${facts.status_bits[bit] ?? `bit ${bit}`} (${steps} steps)`);
    guard.textContent = `status 0x${status.toString(16).padStart(8, "0")}: ${said.join("; ") || "all was well"}`;
    guard.className = `fine ${status ? "bad" : seen.size ? "warn" : ""}`;
  });
}

function download(name, text) {
  const link = element("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/csv" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
