// The picture: crafts, trails, set-point and wind; the camera, and the hand that takes hold of a craft.

import { move, multiply, Scene, scale, sphere } from "./scene.js";

const TRAIL_S = 3;
const REACH_PX = 46; // so near a pointer takes hold
const STREAKS = 70;

const HAND = [0.98, 0.8, 0.3];
const faded = ([r, g, b, a]) => [r, g, b, 0.5 * a];
const rgb = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16) / 255);

export class Stage {
  constructor(canvas, studio) {
    const { model, flight } = studio;
    Object.assign(this, { canvas, studio, model, trails: flight.crafts.map(() => []) });
    Object.assign(this, { held: null, pointers: new Map(), closeness: 1, back: 1 });
    this.pulls = model.forces <= studio.facts.disturbances.length;
    this.scene = new Scene(canvas, model.camera);
    if (model.camera.across === 1) Object.assign(this.scene, { azimuth: -1.3, elevation: 0.2 });
    this.streaks = Array.from({ length: STREAKS }, () => [0, 1, 2].map(() => Math.random()));
    flight.pull = (craft) => (this.held?.goal ? model.pull(craft.x, this.held.goal, flight.parameters) : null);
    for (const [name, act] of [["down", "down"], ["move", "moved"], ["up", "up"], ["cancel", "up"]])
      canvas.addEventListener(`pointer${name}`, (event) => this[act](event));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY * 0.001));
    }, { passive: false });
  }

  // --- the hand ---

  offset(i) {
    const { camera } = this.model, n = this.studio.flight.crafts.length, out = [0, 0, 0];
    if (this.studio.apart) out[camera.across ?? 0] = (i - (n - 1) / 2) * camera.spread;
    return out;
  }

  place(i) { // of craft `i` as drawn
    const { flight } = this.studio, offset = this.offset(i);
    return this.model.anchor(flight.crafts[i].x, flight.parameters).map((v, k) => v + offset[k]);
  }

  near([px, py]) {
    let best = null, least = REACH_PX;
    this.studio.flight.crafts.forEach((craft, i) => {
      if (craft.lost !== null || !this.studio.shown[i]) return;
      const [x, y] = this.scene.project(this.place(i)), away = Math.hypot(x - px, y - py);
      if (away < least) [best, least] = [i, away];
    });
    return best;
  }

  down(event) {
    const at = [event.offsetX, event.offsetY];
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, at);
    const craft = this.pulls && this.pointers.size === 1 ? this.near(at) : null;
    this.held = craft === null ? null : { craft, goal: null };
    this.canvas.classList.add("held");
    this.moved(event);
  }

  moved(event) {
    const at = [event.offsetX, event.offsetY], before = this.pointers.get(event.pointerId);
    if (!before) return void this.canvas.classList.toggle("over", this.pulls && this.near(at) !== null);
    if (this.held) {
      const offset = this.offset(this.held.craft);
      this.held.goal = this.scene.unproject(at, this.place(this.held.craft)).map((v, k) => v - offset[k]);
    } else if (this.pointers.size === 2) {
      const [[, other]] = [...this.pointers].filter(([id]) => id !== event.pointerId);
      const apart = ([x, y]) => Math.max(1, Math.hypot(x - other[0], y - other[1]));
      this.zoom(apart(before) / apart(at));
    } else {
      this.orbit(before[0] - at[0], at[1] - before[1]);
    }
    this.pointers.set(event.pointerId, at);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    this.held = null;
    this.canvas.classList.remove("held");
  }

  // To the right and up, in pixels of a hand.
  orbit(right, up) {
    this.scene.azimuth += 0.007 * right;
    this.scene.elevation = Math.min(1.5, Math.max(-0.1, this.scene.elevation + 0.006 * up));
  }

  zoom(by) {
    this.closeness = Math.min(4, Math.max(0.25, this.closeness * by));
    this.scene.distance = this.model.camera.distance * this.closeness * this.back;
  }

  // A way on the screen (right, away) as one over the ground.
  ground([right, away]) {
    const a = this.scene.azimuth;
    return [-Math.sin(a) * right - Math.cos(a) * away, Math.cos(a) * right - Math.sin(a) * away, 0];
  }

  // --- drawing ---

  clear() {
    for (const trail of this.trails) trail.length = 0;
  }

  // The camera goes slowly after the crafts, unless a hand holds one, and stands back from a figure-eight.
  follow() {
    const { scene, held, model: { camera, anchor, trail } } = this, { flight } = this.studio, ease = 0.04;
    const alive = flight.crafts.filter((craft) => craft.lost === null);
    if (!trail || held || !alive.length) return;
    const wide = flight.reference.lap ? 1.5 : 1;
    this.back += ease * (wide - this.back);
    scene.distance = camera.distance * this.closeness * this.back;
    scene.centre = scene.centre.map((v, k) => {
      const mean = alive.reduce((sum, craft) => sum + anchor(craft.x)[k], 0) / alive.length;
      return v + ease * (camera.centre[k] + mean / wide ** 2 - v);
    });
  }

  sample() {
    const { flight, facts } = this.studio, most = TRAIL_S / facts.period_s;
    flight.crafts.forEach((craft, i) => {
      if (craft.lost === null) this.trails[i].push(this.model.anchor(craft.x, flight.parameters));
      if (this.trails[i].length > most) this.trails[i].shift();
    });
  }

  // `share` of a control period has passed since the last one was computed, and `time` seconds in the picture.
  draw(share, time) {
    const { scene, studio, model } = this, { flight, style, shown } = studio, parts = [], lines = [];
    const first = shown.indexOf(true);
    scene.theme = style;
    this.follow();
    flight.crafts.forEach((craft, i) => {
      if (!shown[i]) return;
      const alone = studio.apart || i === first; // the others are seen through, where they coincide
      const x = craft.x.map((v, k) => craft.previous[k] + (v - craft.previous[k]) * share);
      this.drawCraft(craft, i, x, craft.lost === null ? time : 0, alone, parts, lines);
      if (model.target && alone) this.drawTarget(craft, this.offset(i), lines);
    });
    this.drawWind(time, lines);
    parts.sort((a, b) => b.colour[3] - a.colour[3]);
    scene.draw(parts, lines);
  }

  drawCraft(craft, i, x, time, alone, parts, lines) {
    const { scene, studio: { flight, style }, model, held } = this, colour = rgb(style.colours[i]);
    const offset = this.offset(i), there = move(...offset), shift = (p) => p.map((v, k) => v + offset[k]);
    for (const part of model.parts(x, [...colour, 1], time, flight.parameters)) {
      const tint = alone ? part.colour : faded(part.colour);
      parts.push({ ...part, model: multiply(there, part.model), ghost: !alone, colour: tint });
    }
    const at = shift(model.anchor(x, flight.parameters));
    const line = (points, width, tint) => lines.push({ points, width, colour: tint });
    if (model.trail) {
      line(this.trails[i].map(shift), 2, (k) => [...colour, 0.75 * k * k]);
      line([at, [at[0], at[1], scene.floor]], 0.7, () => [...style.grid, 0.5]);
    }
    if (!held?.goal || held.craft !== i) return;
    const goal = shift(held.goal), end = multiply(move(...goal), scale(0.018));
    line([at, goal], 1.5, () => [...HAND, 0.9]);
    parts.push({ mesh: "ball", make: () => sphere(), model: end, colour: [...HAND, 1], shadow: false });
  }

  drawTarget(craft, offset, lines) {
    const { studio: { flight, style }, model } = this, ink = style.light ? [0.1, 0.2, 0.35] : [0.85, 0.92, 1];
    const seen = flight.plant.call("observe", craft.against(flight.reference.now));
    const at = model.target(craft.x, seen).map((v, k) => v + offset[k]);
    const angles = Array.from({ length: 97 }, (_, k) => k * Math.PI / 48);
    const turn = (place) => angles.map((a) => place(Math.cos(a), Math.sin(a)));
    const line = (points, alpha) => lines.push({ points, width: 1.2, colour: () => [...ink, alpha] });
    line(turn((c, s) => [at[0] + 0.03 * c, at[1] + 0.03 * s, at[2]]), 0.8);
    line(turn((c, s) => [at[0] + 0.03 * c, at[1], at[2] + 0.03 * s]), 0.8);
    const [x, y, z] = flight.reference.point.map((v, k) => v + offset[k]);
    if (flight.reference.lap) line(turn((c, s) => [x + c, y + s * c, z]), 0.3);
  }

  // Streaks that drift with the wind, and an arrow on the ground.
  drawWind(time, lines) {
    const { model, scene } = this, { flight, style } = this.studio;
    const wind = [0, 1, 2].map((i) => (model.weight ? flight.wind[i] / model.weight : 0)), size = Math.hypot(...wind);
    if (size < 1e-3) return;
    const ink = style.light ? [0.15, 0.35, 0.6] : [0.7, 0.85, 1], way = wind.map((v) => v / size);
    const line = (points, width, alpha) => lines.push({ points, width, colour: () => [...ink, alpha] });
    for (const [a, b, c] of this.streaks) {
      const along = ((a + time * (0.25 + size) * (0.7 + 0.6 * b)) % 1) * 2 - 1, aside = 2.6 * (b - 0.5);
      const at = [way[0] * along - way[1] * aside, way[1] * along + way[0] * aside, c - 0.45].map((v) => 1.6 * v);
      line([at, at.map((v, k) => v + way[k] * (0.06 + 0.5 * size))], 1.1, 0.5 * (1 - along * along));
    }
    const tail = [0, 0, scene.floor + 0.02], tip = tail.map((v, k) => v + way[k] * (0.35 + size));
    const barb = (s) => tip.map((v, k) => v - 0.1 * way[k] + s * 0.06 * [-way[1], way[0], 0][k]);
    for (const points of [[tail, tip], [barb(1), tip], [barb(-1), tip]]) line(points, 2.5, 0.8);
  }
}
