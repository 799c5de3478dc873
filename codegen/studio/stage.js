// The picture: crafts, trails, set-point and wind; the camera, and the hand that takes hold of a craft.

import { apply, cylinder, move, multiply, Scene, scale, sphere } from "./scene.js";

const TRAIL_S = 3;
const REACH_PX = 46; // so near a pointer takes hold
const STREAKS = 70;

const faded = ([r, g, b, a]) => [r, g, b, 0.5 * a];
const rgb = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16) / 255);

export class Stage {
  constructor(canvas, studio) {
    const { model, flight } = studio;
    Object.assign(this, { canvas, studio, model, trails: flight.crafts.map(() => []), held: null, pointers: new Map(), closeness: 1, back: 1 });
    this.pulls = model.forces <= studio.facts.disturbances.length;
    this.scene = new Scene(canvas, model.camera);
    if (model.camera.across === 1) Object.assign(this.scene, { azimuth: -1.3, elevation: 0.2 });
    this.streaks = Array.from({ length: STREAKS }, () => [0, 1, 2].map(() => Math.random()));
    flight.pull = (craft) => (this.held && this.held.goal ? model.pull(craft.x, this.held.goal, flight.parameters) : null);
    for (const [name, act] of Object.entries({ pointerdown: "down", pointermove: "moved", pointerup: "up", pointercancel: "up" }))
      canvas.addEventListener(name, (event) => this[act](event));
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
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      this.zoom(Math.hypot(before[0] - other[0], before[1] - other[1]) / Math.max(1, Math.hypot(at[0] - other[0], at[1] - other[1])));
    } else {
      this.scene.azimuth -= (at[0] - before[0]) * 0.007;
      this.scene.elevation = Math.min(1.5, Math.max(-0.1, this.scene.elevation + (at[1] - before[1]) * 0.006));
    }
    this.pointers.set(event.pointerId, at);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    this.held = null;
    this.canvas.classList.remove("held");
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
    scene.theme = style;
    this.follow();
    flight.crafts.forEach((craft, i) => {
      if (!shown[i]) return;
      const ghost = !studio.apart && i > shown.indexOf(true), colour = [...rgb(style.colours[i]), 1], x = craft.x.map((v, k) => craft.previous[k] + (v - craft.previous[k]) * share);
      const offset = this.offset(i), there = move(...offset), spin = craft.lost === null ? time : 0;
      for (const part of model.parts(x, colour, spin, flight.parameters))
        parts.push({ ...part, ghost, model: multiply(there, part.model), colour: ghost ? faded(part.colour) : part.colour });
      const trail = this.trails[i].map((p) => p.map((v, k) => v + offset[k]));
      if (model.trail) lines.push({ points: trail, width: 2, colour: (k) => [...colour.slice(0, 3), 0.75 * k * k] });
      const at = model.anchor(x, flight.parameters).map((v, k) => v + offset[k]);
      if (model.trail) lines.push({ points: [at, [at[0], at[1], scene.floor]], width: 0.7, colour: () => [...style.grid, 0.5] });
      if (this.held?.goal && this.held.craft === i) this.drawHand(at, this.held.goal.map((v, k) => v + offset[k]), parts, lines);
      if (model.target && (studio.apart || i === shown.indexOf(true))) this.drawTarget(craft, offset, lines);
    });
    this.drawWind(time, lines);
    parts.sort((a, b) => b.colour[3] - a.colour[3]);
    scene.draw(parts, lines);
  }

  drawHand(from, to, parts, lines) {
    lines.push({ points: [from, to], width: 1.5, colour: () => [0.98, 0.8, 0.3, 0.9] });
    parts.push({ mesh: "ball", make: () => sphere(), model: multiply(move(...to), scale(0.018)), colour: [0.98, 0.8, 0.3, 1], shadow: false });
  }

  drawTarget(craft, offset, lines) {
    const { studio, model } = this, { flight } = studio, ink = studio.style.light ? [0.1, 0.2, 0.35] : [0.85, 0.92, 1];
    const seen = flight.plant.call("observe", craft.against(flight.reference.now));
    const at = model.target(craft.x, seen).map((v, k) => v + offset[k]);
    const ring = (radius, way) => Array.from({ length: 41 }, (_, k) => {
      const c = radius * Math.cos(k * Math.PI / 20), s = radius * Math.sin(k * Math.PI / 20);
      return way ? [at[0] + c, at[1], at[2] + s] : [at[0] + c, at[1] + s, at[2]];
    });
    for (const points of [ring(0.03, false), ring(0.03, true)]) lines.push({ points, width: 1.2, colour: () => [...ink, 0.8] });
    const { lap, point: [x, y, z] } = flight.reference;
    const path = Array.from({ length: 97 }, (_, k) => {
      const a = k * Math.PI / 48;
      return [x + Math.cos(a) + offset[0], y + Math.sin(a) * Math.cos(a) + offset[1], z + offset[2]];
    });
    if (lap) lines.push({ points: path, width: 1.2, colour: () => [...ink, 0.3] });
  }

  // Streaks that drift with the wind over the ground, and in it an arrow.
  drawWind(time, lines) {
    const { model, scene } = this, { flight, style } = this.studio;
    const wind = model.weight ? [0, 1, 2].map((i) => flight.wind[i] / model.weight) : [0, 0, 0], size = Math.hypot(...wind);
    if (size < 1e-3) return;
    const reach = 1.6, ink = style.light ? [0.15, 0.35, 0.6] : [0.7, 0.85, 1], way = wind.map((v) => v / size);
    for (const [a, b, c] of this.streaks) {
      const along = ((a + time * (0.25 + size) * (0.7 + 0.6 * b)) % 1) * 2 - 1, aside = (b - 0.5) * 2.6 * reach, up = (c - 0.45) * 1.5;
      const at = [way[0] * along * reach - way[1] * aside, way[1] * along * reach + way[0] * aside, up], long = 0.06 + 0.5 * size;
      lines.push({ points: [at, at.map((v, k) => v + way[k] * long)], width: 1.1, colour: () => [...ink, 0.5 * (1 - along * along)] });
    }
    const tip = way.map((v, k) => v * (0.35 + size) + (k === 2 ? scene.floor + 0.02 : 0)), tail = [0, 0, scene.floor + 0.02];
    const barb = (s) => tip.map((v, k) => v - 0.1 * way[k] + s * 0.06 * [-way[1], way[0], 0][k]);
    for (const points of [[tail, tip], [barb(1), tip], [barb(-1), tip]]) lines.push({ points, width: 2.5, colour: () => [...ink, 0.8] });
  }
}
