// What each kind of plant looks like, and how a hand takes hold of it. Lengths in m, z up.

import { apply, box, cylinder, move, multiply, quaternion, scale, sphere, turnX, turnY, turnZ } from "./scene.js";

const DARK = [0.13, 0.16, 0.21, 1], STEEL = [0.62, 0.67, 0.74, 1], PALE = [0.88, 0.91, 0.95, 1];
const GOLD = [0.95, 0.75, 0.3, 1];
const LARGER = 2.8; // a drone of 9 cm would be lost in a room of metres
const TURN_S = 0.06; // a rotor as drawn turns slower than it does: 350 turns a second would only flicker

const chain = (...matrices) => matrices.reduce(multiply);
const part = (mesh, make, model, colour, more = {}) => ({ mesh, make, model, colour, ...more });
const solid = (model, colour) => part("box", box, model, colour);
const round = (model, colour, more) => part("cylinder", () => cylinder(), model, colour, more);
const ball = (at, radius, colour) => part("ball", () => sphere(), multiply(move(...at), scale(radius)), colour);

// A spring that a hand pulls by, in units of the mass: stiffness 1/s^2, damping 1/s, limit m/s^2.
const spring = (offset, speed, { stiffness, damping, limit }) => {
  const size = Math.hypot(...offset) || 1, most = Math.min(1, limit / (stiffness * size));
  return offset.map((v, i) => stiffness * most * v - damping * speed[i]);
};

function quadrotor(facts) {
  const at = Object.fromEntries(facts.states.map((s, i) => [s.name, i])), arm = 0.028;
  const position = (x) => [x[at.p_x], x[at.p_y], x[at.p_z]];
  const mass = facts.parameters.findIndex((q) => q.name === "mass");
  const observed = facts.observations.findIndex((s) => s.name === "p_x");
  return {
    camera: { centre: [0, 0, -0.22], distance: 1.75, floor: facts.floor, tile: 0.25, spread: 0.6 },
    hint: "Drag a drone to pull it about, anything else to look around; scroll or pinch to come closer.",
    trail: true,
    anchor: position,
    // Where the task wants it: what is observed is the error.
    target: observed < 0 ? null : (x, observation) => position(x).map((v, i) => v - observation[observed + i]),
    forces: 3,
    weight: (facts.parameters[mass]?.nominal ?? 1) * 9.81,
    pull(x, goal, p) {
      const offset = position(x).map((v, i) => goal[i] - v);
      const pull = spring(offset, [x[at.v_x], x[at.v_y], x[at.v_z]], { stiffness: 90, damping: 8, limit: 18 });
      return facts.disturbances.map((_, i) => (i < 3 ? (p[mass] ?? 1) * pull[i] : 0));
    },
    parts(x, colour, time) {
      const turn = quaternion(x[at.q_w], x[at.q_x], x[at.q_y], x[at.q_z]);
      const body = chain(move(...position(x)), turn, scale(LARGER * arm));
      const on = (...matrices) => chain(body, ...matrices), out = [], discs = [];
      out.push(solid(on(scale(1.05, 1.05, 0.09)), DARK), solid(on(move(0, 0, 0.2), scale(0.95, 0.62, 0.24)), STEEL));
      out.push(solid(on(move(0, 0, 0.34), scale(0.5, 0.4, 0.07)), colour));
      out.push(ball(apply(body, [0.62, 0, 0.06]), LARGER * arm * 0.09, GOLD)); // where its x axis points
      for (const [k, [sx, sy, way]] of [[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]].entries()) {
        const angle = Math.atan2(sy, sx), rotor = on(move(sx, sy, 0.22));
        out.push(solid(on(turnZ(angle), move(0.75, 0, 0), scale(1.35, 0.15, 0.1)), PALE));
        out.push(round(on(move(sx, sy, 0.08), scale(0.17, 0.17, 0.3)), STEEL));
        const rpm = x[at[`rotor_${k + 1}`]] ?? 15000, turned = way * time / TURN_S * (0.4 + rpm / 20000) * 2 * Math.PI;
        out.push(solid(chain(rotor, turnZ(turned), scale(1.62, 0.13, 0.03)), colour));
        out.push(part("hoop", () => cylinder(0.95), chain(rotor, scale(0.84, 0.84, 0.06)), colour));
        discs.push(round(chain(rotor, scale(0.82, 0.82, 0.01)), [...colour.slice(0, 3), 0.16], { shadow: false }));
      }
      return [...out, ...discs];
    },
  };
}

function pendulum(facts) {
  const angle = facts.states.findIndex((s) => s.name === "angle"), rate = 1 + angle;
  const length = facts.parameters.findIndex((q) => q.name === "length");
  const tip = (x, p = facts.parameters.map((q) => q.nominal)) => {
    const l = length < 0 ? 1 : p[length];
    return [l * Math.sin(x[angle]), 0, l * Math.cos(x[angle])];
  };
  return {
    camera: { centre: [0, 0, 0], distance: 3.4, floor: -1.25, tile: 0.5, spread: 0.8, across: 1 },
    hint: "Drag the rod's end to turn it, anything else to look around.",
    trail: false,
    anchor: tip,
    forces: 1,
    pull(x, goal) {
      const turn = Math.atan2(goal[0], goal[2]) - x[angle], most = 20 * facts.disturbances[0].typical;
      const torque = 2 * most * Math.atan2(Math.sin(turn), Math.cos(turn)) - 0.05 * most * x[rate];
      return facts.disturbances.map((_, i) => (i ? 0 : Math.max(-2 * most, Math.min(2 * most, torque))));
    },
    parts(x, colour, time, p) {
      const l = Math.hypot(...tip(x, p)), turn = turnY(x[angle]);
      return [
        solid(chain(move(0, 0.13, -0.62), scale(0.1, 0.06, 1.25)), DARK),
        solid(chain(move(0, 0.13, -1.22), scale(0.7, 0.4, 0.06)), DARK),
        round(chain(move(0, 0.04, 0), turnX(Math.PI / 2), scale(0.09, 0.09, 0.16)), STEEL),
        solid(chain(turn, move(0, 0, l / 2), scale(0.055, 0.05, l)), PALE), ball(tip(x, p), 0.09, colour),
      ];
    },
  };
}

function cartpole(facts) {
  const names = facts.states.map((s) => s.name);
  const [place, angle, speed] = ["position", "angle", "velocity"].map((name) => names.indexOf(name));
  const half = facts.parameters.findIndex((q) => q.name === "half_length"), up = 0.12;
  return {
    camera: { centre: [0, 0, 0.1], distance: 4.6, floor: -1.1, tile: 0.5, spread: 0.7, across: 1 },
    hint: "Drag the cart along its rail, anything else to look around.",
    trail: false,
    anchor: (x) => [x[place], 0, up],
    forces: 1,
    pull(x, goal) {
      const most = 40 * facts.disturbances[0].typical;
      const force = most * (2 * (goal[0] - x[place]) - 0.3 * (x[speed] ?? 0));
      return facts.disturbances.map((_, i) => (i ? 0 : Math.max(-most, Math.min(most, force))));
    },
    parts(x, colour, time, p) {
      const l = 2 * (half < 0 ? 0.5 : p[half]), cart = move(x[place], 0, 0);
      const pole = chain(cart, move(0, -0.17, up), turnY(x[angle]));
      const wheels = [-0.15, 0.15].flatMap((dx) => [-0.11, 0.11].map((dy) =>
        round(chain(cart, move(dx, dy, -0.06), turnX(Math.PI / 2), scale(0.07, 0.07, 0.04)), DARK)));
      return [
        ...[-0.11, 0.11].map((y) => solid(chain(move(0, y, -0.15), scale(4.8, 0.03, 0.03)), STEEL)),
        ...[-2.4, 2.4].map((at) => solid(chain(move(at, 0, -0.08), scale(0.04, 0.34, 0.2)), DARK)),
        solid(chain(cart, move(0, 0, 0.07), scale(0.46, 0.26, 0.18)), colour), ...wheels,
        round(chain(pole, turnX(Math.PI / 2), scale(0.05, 0.05, 0.08)), STEEL),
        solid(chain(pole, move(0, 0, l / 2), scale(0.05, 0.04, l)), PALE), ball(apply(pole, [0, 0, l]), 0.07, GOLD),
      ];
    },
  };
}

// The model of a plant's view, or null where only charts show it.
export const model = (facts) => ({ quadrotor, pendulum, cartpole })[facts.view]?.(facts) ?? null;
