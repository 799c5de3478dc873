// The closed loop, without a page: compiled plant and controllers, the delay between them, and the log of every step.

const PAGE_BYTES = 65536;
export const MOST_DELAY_S = 0.06; // that the page adds
const LATE_S = 0.05; // of a sensor that is late
const GUST_S = 0.5; // how long a gust lasts
const LOG_STEPS = 1 << 17; // what a log holds at most: twenty minutes at 100 Hz

// A WebAssembly module without imports, and float32 buffers of the caller in its memory.
class Compiled {
  static async load(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    const { instance } = await WebAssembly.instantiate(await answer.arrayBuffer());
    return new Compiled(instance.exports);
  }

  constructor(exports) {
    this.exports = exports;
    this.top = (exports.__heap_base.value + 15) & ~15;
  }

  place(bytes) {
    const at = this.top, { memory } = this.exports;
    this.top = (at + bytes + 15) & ~15;
    const missing = this.top - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
    return at;
  }

  floats(at, count) {
    return new Float32Array(this.exports.memory.buffer, at, count);
  }

  words(at, count) {
    return new Uint32Array(this.exports.memory.buffer, at, count);
  }
}

// The plant's functions on float32 columns. `call(name, ...columns)` returns a fresh column.
export class Plant {
  constructor(compiled, facts) {
    const { states, inputs, parameters, disturbances, observations, scores } = facts;
    const columns = [states, inputs, parameters, disturbances, observations, scores];
    const widest = Math.max(1, ...columns.map((v) => v.length));
    this.compiled = compiled;
    this.rows = { step: states.length, observe: observations.length, margin: 1, score: scores.length };
    this.places = Array.from({ length: 6 }, () => compiled.place(4 * widest));
  }

  call(name, ...columns) {
    const { compiled, places } = this, out = places[columns.length];
    columns.forEach((column, i) => compiled.floats(places[i], column.length).set(column));
    compiled.exports[`tinyctl_${name}`](...places.slice(0, columns.length + 1));
    return compiled.floats(out, this.rows[name]).slice();
  }
}

// The bits of what a controller was given and gave since its reset: a row of observations, actions and status a step.
class Log {
  constructor(width) {
    this.width = width;
    this.steps = 0;
    this.words = new Uint32Array(width * 1024);
  }

  push(observation, action, status) {
    if (this.steps === LOG_STEPS) return;
    const at = this.steps++ * this.width;
    if (at === this.words.length) {
      const wider = new Uint32Array(2 * at);
      wider.set(this.words);
      this.words = wider;
    }
    this.words.set(observation, at);
    this.words.set(action, at + observation.length);
    this.words[at + this.width - 1] = status;
  }
}

// The emitted C of one graph: its struct and its log.
export class Controller {
  constructor(compiled, facts, record) {
    this.compiled = compiled;
    this.record = record;
    this.nObs = facts.observations.length;
    this.nAct = facts.actions.length;
    const bytes = compiled.exports.controller_batch_struct_bytes();
    [this.struct, this.spare] = [compiled.place(bytes), compiled.place(bytes)];
    [this.obs, this.act] = [compiled.place(4 * this.nObs), compiled.place(4 * this.nAct)];
    this.selftest = compiled.exports.controller_selftest();
    this.reset();
  }

  reset() {
    this.compiled.exports.controller_init(this.struct);
    this.log = new Log(this.nObs + this.nAct + 1);
  }

  step(observation) {
    const { compiled, obs, act, nObs, nAct } = this;
    compiled.floats(obs, nObs).set(observation);
    const status = compiled.exports.controller_step(this.struct, obs, act) >>> 0;
    this.log.push(compiled.words(obs, nObs), compiled.words(act, nAct), status);
    return { action: compiled.floats(act, nAct).slice(), status };
  }

  // Microseconds of a step here, the mean of `steps` on a struct of their own.
  time(steps) {
    const { controller_init: init, controller_step: step } = this.compiled.exports;
    init(this.spare);
    const start = performance.now();
    for (let k = 0; k < steps; k++) step(this.spare, this.obs, this.act);
    return (performance.now() - start) * 1000 / steps;
  }
}

// (whole control periods, the rest in s) of a delay: `split_delay` of sims/loop.py.
export function splitDelay(delay, period) {
  const periods = Math.round(delay / period * 1e9) / 1e9, missed = Math.floor(periods);
  return [missed, (periods - missed) * period];
}

// What a faulty sensor gives in place of column `i`, whose value is `v`.
const FAULTS = {
  none: (v) => v,
  lost: () => NaN,
  stuck: (v, i, craft) => craft.frozen[i],
  late: (v, i, craft) => craft.past.at(-1)[i],
  flipped: (v) => -v,
};

// One plant under one controller. A control period is that of `close_loop` in sims/loop.py.
export class Craft {
  constructor(plant, controller, facts) {
    Object.assign(this, { plant, controller, facts });
    this.latest = splitDelay(controller.record.delay_s + facts.late_s + MOST_DELAY_S, facts.period_s)[0];
  }

  reset(x) {
    this.x = Float32Array.from(x);
    this.said = Array(this.latest + 2).fill(Float32Array.from(this.facts.initial_applied)); // the latest first
    Object.assign(this, { k: 0, next: 0, lost: null, status: 0, seen: new Map(), applied: this.said[0] });
    Object.assign(this, { past: [], frozen: null }); // observations, the latest first, and those of a stuck sensor
    this.controller.reset();
  }

  // What the sensors, of which some may have a fault, make of this observation.
  sense(observation, { kind, first, count }) {
    this.past = [observation, ...this.past].slice(0, Math.max(1, Math.round(LATE_S / this.facts.period_s)) + 1);
    if (kind !== "stuck" || !this.frozen) this.frozen = observation;
    return observation.map((v, i) => (i >= first && i < first + count ? FAULTS[kind](v, i, this) : v));
  }

  // The state as the task sees it: against a reference that moves.
  against({ position, velocity }) {
    const x = this.x.slice();
    this.facts.reference.forEach(([p, v], i) => {
      x[p] -= position[i];
      x[v] -= velocity[i];
    });
    return x;
  }

  period({ p, d, noise, fault, delay, late, reference }) {
    if (this.lost !== null) return;
    const { plant, facts, said } = this, h = facts.period_s, [busy, more] = splitDelay(delay, h);
    let latest = said[0]; // holds while the controller is busy
    if (this.k >= this.next) {
      const observation = plant.call("observe", this.against(reference)).map((v, i) => v + noise[i]);
      const { action, status } = this.controller.step(this.sense(observation, fault));
      Object.assign(this, { status, next: this.k + Math.max(1, busy + (more > 0)) });
      for (let bit = 0; bit < 32; bit++) if (status >>> bit & 1) this.seen.set(bit, (this.seen.get(bit) ?? 0) + 1);
      latest = action;
    }
    said.unshift(latest);
    said.pop();
    const [missed, rest] = splitDelay(delay + late, h), before = said[missed + 1], applied = said[missed];
    const step = (x, u, seconds) => plant.call("step", x, u, p, d, [seconds]);
    const moved = rest > 0 && before !== applied
      ? step(step(this.x, before, rest), applied, h - rest) : step(this.x, applied, h);
    this.k += 1;
    this.applied = applied;
    if (plant.call("margin", moved)[0] > 0) this.x = moved;
    else this.lost = this.k * h;
  }
}

// Where the drone is to be: a set-point, or Gerono's figure-eight from its middle, its pace ramped over two seconds.
class Reference {
  constructor() {
    Object.assign(this, { point: [0, 0, 0], lap: 0 });
    this.reset();
  }

  reset() {
    Object.assign(this, { angle: Math.PI / 2, elapsed: 0 });
  }

  get now() {
    const { point, lap, angle } = this, c = Math.cos(angle), s = Math.sin(angle), pace = this.pace;
    if (!lap) return { position: point, velocity: [0, 0, 0] };
    const [x, y, z] = point;
    return { position: [x + c, y + s * c, z], velocity: [-pace * s, pace * (c * c - s * s), 0] };
  }

  get pace() {
    return this.lap ? 2 * Math.PI / this.lap * Math.min(1, this.elapsed / 2) : 0;
  }

  advance(seconds) {
    if (!this.lap) return;
    this.elapsed += seconds;
    this.angle += this.pace * seconds;
  }
}

// Several crafts from one start, under the same parameters, disturbances, noise and faults.
export class Flight {
  static async load(facts) {
    const plant = new Plant(await Compiled.load("plant.wasm"), facts);
    const load = async (record) => new Controller(await Compiled.load(record.module), facts, record);
    return new Flight(facts, plant, await Promise.all(facts.controllers.map(load)));
  }

  constructor(facts, plant, controllers) {
    this.facts = facts;
    this.crafts = controllers.map((controller) => new Craft(plant, controller, facts));
    this.plant = plant;
    this.parameters = Float32Array.from(facts.parameters.length ? facts.parameters.map((q) => q.nominal) : [0]);
    this.wind = new Float32Array(Math.max(1, facts.disturbances.length)); // what the sliders say
    this.pull = () => null; // what a hand adds: a craft to its disturbances
    this.reference = new Reference();
    Object.assign(this, { gusts: 0, extraDelay: 0, noiseScale: 1, drawnScale: 1,
      fault: { kind: "none", first: 0, count: facts.observations.length } });
    this.reset(0);
  }

  get time() {
    return this.k * this.facts.period_s;
  }

  reset(start = this.start) {
    const { x, d } = this.facts.starts[start % this.facts.starts.length];
    Object.assign(this, { start, k: 0, seed: start + 1, gust: 0, pushes: [] });
    this.drawn = Float32Array.from(d);
    this.reference.reset();
    for (const craft of this.crafts) craft.reset(x);
  }

  // Adds the disturbance `d` for `seconds`.
  push(d, seconds) {
    this.pushes.push({ d, until: this.k + Math.max(1, Math.round(seconds / this.facts.period_s)) });
  }

  period() {
    const { facts, crafts, extraDelay, fault } = this, reference = this.reference.now, calm = facts.period_s / GUST_S;
    this.pushes = this.pushes.filter(({ until }) => this.k < until);
    this.gust += -this.gust * calm + this.normal() * Math.sqrt(2 * calm); // of deviation 1
    const blow = 1 + this.gusts * this.gust;
    const shared = this.drawn.map((v, i) => this.pushes.reduce((sum, { d }) => sum + d[i],
      v * this.drawnScale + this.wind[i] * blow));
    const noise = facts.noise.map((sd) => this.noiseScale && sd * this.noiseScale * this.normal());
    for (const craft of crafts) {
      const pull = this.pull(craft), d = pull ? shared.map((v, i) => v + pull[i]) : shared;
      const delay = craft.controller.record.delay_s + extraDelay;
      craft.period({ p: this.parameters, d, noise, fault, delay, late: facts.late_s, reference });
    }
    this.reference.advance(facts.period_s);
    this.k += 1;
  }

  normal() { // Box and Muller, from a counter hashed as in mulberry32 (public domain)
    const uniform = () => {
      let t = (this.seed = (this.seed + 0x6d2b79f5) | 0);
      t = Math.imul(t ^ (t >>> 15), t | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  // A craft's log as a recording (tinyctl/recording.py): `tinyctl hil --replay` and `identify` read it.
  recording(index) {
    const { facts } = this, { controller } = this.crafts[index], { words, width, steps } = controller.log;
    const names = [...facts.observations.map((s) => `obs.${s.name}`), ...facts.actions.map((s) => `act.${s.name}`)];
    const identity = JSON.stringify({ contract_hash: facts.contract_hash, graph_hash: controller.record.graph_hash });
    const lines = [`# tinyctl ${identity}`, `episode,time_s,${names},status,count`];
    const values = new Float32Array(words.buffer);
    const text = (v) => (Number.isNaN(v) ? "nan" : Object.is(v, -0) ? "-0" : v.toPrecision(9)); // 9 digits: every bit
    for (let k = 0; k < steps; k++) {
      const row = Array.from(values.subarray(k * width, (k + 1) * width - 1), text);
      lines.push(`0,${(k * facts.period_s).toPrecision(9)},${row},${words[(k + 1) * width - 1]},0`);
    }
    return lines.join("\n") + "\n";
  }
}
