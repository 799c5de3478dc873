// A small renderer on WebGL 2: lit meshes, their shadow on the floor, a grid, and lines of any width.

// --- matrices: 16 numbers by columns, z up -------------------------------------------------------------------------

export const multiply = (a, b) => Array.from({ length: 16 }, (_, n) => {
  const row = n % 4, column = n - row;
  return a[row] * b[column] + a[row + 4] * b[column + 1] + a[row + 8] * b[column + 2] + a[row + 12] * b[column + 3];
});
export const move = (x, y, z) => [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, x, y, z, 1];
export const scale = (x, y = x, z = x) => [x, 0, 0, 0, 0, y, 0, 0, 0, 0, z, 0, 0, 0, 0, 1];
export const turnZ = (a) => {
  const c = Math.cos(a), s = Math.sin(a);
  return [c, s, 0, 0, -s, c, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
};
export const turnY = (a) => {
  const c = Math.cos(a), s = Math.sin(a);
  return [c, 0, -s, 0, 0, 1, 0, 0, s, 0, c, 0, 0, 0, 0, 1];
};
export const turnX = (a) => {
  const c = Math.cos(a), s = Math.sin(a);
  return [1, 0, 0, 0, 0, c, s, 0, 0, -s, c, 0, 0, 0, 0, 1];
};
export const quaternion = (w, x, y, z) => [
  1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y), 0,
  2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x), 0,
  2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y), 0, 0, 0, 0, 1,
];
export const apply = (m, [x, y, z]) => [0, 1, 2].map((i) => m[i] * x + m[i + 4] * y + m[i + 8] * z + m[i + 12]);

// --- meshes: triangles of position and normal ----------------------------------------------------------------------

export function box() {
  const out = [];
  for (const axis of [0, 1, 2])
    for (const side of [-1, 1])
      for (const [u, v] of [[-1, -1], [1, -1], [1, 1], [-1, -1], [1, 1], [-1, 1]]) {
        const p = [0, 0, 0], n = [0, 0, 0];
        n[axis] = side;
        p[axis] = side / 2;
        p[(axis + 1) % 3] = u / 2;
        p[(axis + 2) % 3] = v / 2;
        out.push(...p, ...n);
      }
  return out;
}

// Of radius 1 and height 1 about z; `hole` is the inner radius.
export function cylinder(hole = 0, sides = 40) {
  const out = [], at = (k, r, z) => [r * Math.cos(k * 2 * Math.PI / sides), r * Math.sin(k * 2 * Math.PI / sides), z];
  const quad = (a, b, c, d, normal) => [a, b, c, a, c, d].forEach((p) => out.push(...p, ...normal(p)));
  for (let k = 0; k < sides; k++) {
    quad(at(k, 1, -0.5), at(k + 1, 1, -0.5), at(k + 1, 1, 0.5), at(k, 1, 0.5), ([x, y]) => [x, y, 0]);
    if (hole) quad(at(k, hole, -0.5), at(k + 1, hole, -0.5), at(k + 1, hole, 0.5), at(k, hole, 0.5),
      ([x, y]) => [-x / hole, -y / hole, 0]);
    for (const z of [-0.5, 0.5])
      quad(at(k, hole, z), at(k, 1, z), at(k + 1, 1, z), at(k + 1, hole, z), () => [0, 0, 2 * z]);
  }
  return out;
}

export function sphere(rings = 16, sides = 28) {
  const out = [], at = (i, k) => {
    const a = i * Math.PI / rings, b = k * 2 * Math.PI / sides;
    return [Math.sin(a) * Math.cos(b), Math.sin(a) * Math.sin(b), Math.cos(a)];
  };
  for (let i = 0; i < rings; i++)
    for (let k = 0; k < sides; k++)
      for (const [m, n] of [[0, 0], [1, 0], [1, 1], [0, 0], [1, 1], [0, 1]]) {
        const p = at(i + m, k + n);
        out.push(...p, ...p);
      }
  return out;
}

// --- the renderer --------------------------------------------------------------------------------------------------

const HEAD = "#version 300 es\nprecision highp float;\n";
const MESH = [`${HEAD}
layout(location = 0) in vec3 place; layout(location = 1) in vec3 normal;
uniform mat4 view, model; out vec3 n; out vec3 at;
void main() {
  vec4 p = model * vec4(place, 1.0);
  at = p.xyz; n = mat3(model) * normal; gl_Position = view * p;
}`, `${HEAD}
in vec3 n; in vec3 at; uniform vec4 colour; uniform vec3 eye; uniform float lit; out vec4 pixel;
void main() {
  vec3 m = normalize(n), sun = normalize(vec3(0.45, -0.35, 0.82)), look = normalize(eye - at);
  if (dot(m, look) < 0.0) m = -m;
  float day = max(dot(m, sun), 0.0), sky = 0.5 + 0.5 * m.z, shine = pow(max(dot(m, normalize(sun + look)), 0.0), 48.0);
  vec3 light = vec3(0.30, 0.34, 0.42) * sky + vec3(0.16) + vec3(0.86, 0.82, 0.74) * day;
  pixel = vec4(mix(colour.rgb, colour.rgb * light + 0.35 * shine, lit) * colour.a, colour.a);
}`];
const FLOOR = [`${HEAD}
uniform mat4 view; uniform float height, reach; uniform vec3 centre; out vec2 at;
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
  at = centre.xy + corner * reach; gl_Position = view * vec4(at, height, 1.0);
}`, `${HEAD}
in vec2 at; uniform vec3 centre, ground, ink; uniform float reach, tile; out vec4 pixel;
float lines(vec2 p, float width) {
  vec2 d = abs(fract(p - 0.5) - 0.5) / fwidth(p);
  return 1.0 - clamp(min(d.x, d.y) - width, 0.0, 1.0);
}
void main() {
  float fade = smoothstep(1.0, 0.15, length(at - centre.xy) / reach);
  float grid = 0.16 * lines(at / tile, 0.1) + 0.32 * lines(at / (5.0 * tile), 0.4);
  pixel = vec4(mix(ground, ink, grid) * fade, fade);
}`];
const LINES = [`${HEAD}
layout(location = 0) in vec3 from; layout(location = 1) in vec3 to; layout(location = 2) in vec4 tint;
layout(location = 3) in float width; uniform mat4 view; uniform vec2 size; out vec4 colour;
void main() {
  vec4 a = view * vec4(from, 1.0), b = view * vec4(to, 1.0);
  vec2 along = (b.xy / b.w - a.xy / a.w) * size, across = vec2(-along.y, along.x) / max(length(along), 1e-6);
  vec4 p = (gl_VertexID & 1) == 0 ? a : b;
  p.xy += across * ((gl_VertexID >> 1) == 0 ? -1.0 : 1.0) * width / size * p.w;
  colour = tint; gl_Position = p;
}`, `${HEAD} in vec4 colour; out vec4 pixel; void main() { pixel = vec4(colour.rgb * colour.a, colour.a); }`];

export class Scene {
  // Throws where the browser has no WebGL 2.
  constructor(canvas, { centre, distance, floor, tile }) {
    const gl = canvas.getContext("webgl2", { antialias: true, stencil: true });
    if (!gl) throw new Error("this browser has no WebGL 2");
    Object.assign(this, { canvas, gl, centre, distance, floor, tile, meshes: new Map() });
    Object.assign(this, { azimuth: -1.05, elevation: 0.36 }); // rad
    this.programs = { mesh: this.program(...MESH), floor: this.program(...FLOOR), lines: this.program(...LINES) };
    this.segments = gl.createBuffer();
    this.empty = gl.createVertexArray();
    this.lineArray = gl.createVertexArray();
    gl.bindVertexArray(this.lineArray);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.segments);
    for (const [place, count, offset] of [[0, 3, 0], [1, 3, 12], [2, 4, 24], [3, 1, 40]]) {
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, count, gl.FLOAT, false, 44, offset);
      gl.vertexAttribDivisor(place, 1);
    }
  }

  program(vertex, fragment) {
    const { gl } = this, made = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    const places = {};
    for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
      const { name } = gl.getActiveUniform(made, i);
      places[name] = gl.getUniformLocation(made, name);
    }
    return { made, places };
  }

  mesh(name, make) {
    if (!this.meshes.has(name)) {
      const { gl } = this, data = new Float32Array(make()), array = gl.createVertexArray();
      gl.bindVertexArray(array);
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
      for (const place of [0, 1]) {
        gl.enableVertexAttribArray(place);
        gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 24, 12 * place);
      }
      this.meshes.set(name, { array, count: data.length / 6 });
    }
    return this.meshes.get(name);
  }

  // Camera of this size of canvas: the eye, its axes, and the matrix from world to clip space.
  aim() {
    const { canvas, centre, distance, azimuth: a, elevation: e } = this;
    const back = [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)];
    const right = [-Math.sin(a), Math.cos(a), 0];
    const up = [-Math.sin(e) * Math.cos(a), -Math.sin(e) * Math.sin(a), Math.cos(e)];
    const aspect = canvas.clientWidth / Math.max(1, canvas.clientHeight), away = distance * Math.max(1, 1.15 / aspect);
    const eye = centre.map((c, i) => c + away * back[i]), near = away / 50, far = away * 20, f = 2.2;
    const dot = (v) => -v.reduce((sum, c, i) => sum + c * eye[i], 0);
    const look = [0, 1, 2].flatMap((i) => [right[i], up[i], back[i], 0]).concat(dot(right), dot(up), dot(back), 1);
    const depth = [(far + near) / (near - far), 2 * far * near / (near - far)];
    const lens = [f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, depth[0], -1, 0, 0, depth[1], 0];
    Object.assign(this, { eye, right, up, back, f, aspect, view: multiply(lens, look) });
  }

  // From the world to CSS pixels of the canvas.
  project([x, y, z]) {
    const v = this.view, w = v[3] * x + v[7] * y + v[11] * z + v[15];
    const at = [0, 1].map((i) => (v[i] * x + v[i + 4] * y + v[i + 8] * z + v[i + 12]) / w);
    return [(at[0] + 1) / 2 * this.canvas.clientWidth, (1 - at[1]) / 2 * this.canvas.clientHeight];
  }

  // The point under a pixel in the plane through `through` that faces the camera.
  unproject([px, py], through) {
    const sx = (2 * px / this.canvas.clientWidth - 1) * this.aspect / this.f;
    const sy = (1 - 2 * py / this.canvas.clientHeight) / this.f;
    const ray = [0, 1, 2].map((i) => sx * this.right[i] + sy * this.up[i] - this.back[i]);
    const depth = through.reduce((sum, c, i) => sum + (this.eye[i] - c) * this.back[i], 0);
    return this.eye.map((c, i) => c + depth * ray[i]);
  }

  // `parts` are {mesh, make, model, colour, shadow, ghost}, opaque ones first; `lines` are {points, colour(k), width}.
  draw(parts, lines) {
    const { gl, canvas, programs } = this, ratio = Math.min(devicePixelRatio, 2);
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.aim();
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT | gl.STENCIL_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA); // colours times their alpha, as the page wants them
    gl.polygonOffset(-2, -2);
    this.drawFloor(programs.floor);
    this.use(programs.mesh);
    gl.uniform3fv(programs.mesh.places.eye, this.eye);
    this.drawShadows(parts.filter((part) => part.shadow !== false), programs.mesh.places);
    gl.uniform1f(programs.mesh.places.lit, 1);
    for (const part of parts) {
      gl.depthMask(part.colour[3] === 1);
      gl[part.ghost ? "enable" : "disable"](gl.POLYGON_OFFSET_FILL); // before what it coincides with
      this.drawPart(part, part.model, part.colour, programs.mesh.places);
    }
    gl.disable(gl.POLYGON_OFFSET_FILL);
    gl.depthMask(true);
    this.drawLines(lines, programs.lines, ratio);
  }

  use({ made, places }) {
    this.gl.useProgram(made);
    this.gl.uniformMatrix4fv(places.view, false, this.view);
  }

  drawFloor(program) {
    const { gl } = this, { places } = program;
    this.use(program);
    gl.bindVertexArray(this.empty);
    gl.depthMask(false);
    gl.uniform3fv(places.centre, this.centre);
    gl.uniform1f(places.height, this.floor);
    gl.uniform1f(places.reach, this.distance * 2.2);
    gl.uniform1f(places.tile, this.tile);
    gl.uniform3fv(places.ground, this.theme.ground);
    gl.uniform3fv(places.ink, this.theme.grid);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    gl.depthMask(true);
  }

  drawShadows(parts, places) { // each pixel of the floor darkens once
    const { gl, floor } = this, [x, y] = [0.45 / 0.82, -0.35 / 0.82];
    const flat = [1, 0, 0, 0, 0, 1, 0, 0, -x, -y, 0, 0, x * floor, y * floor, floor + this.distance * 1e-4, 1];
    gl.enable(gl.STENCIL_TEST);
    gl.stencilFunc(gl.EQUAL, 0, 255);
    gl.stencilOp(gl.KEEP, gl.KEEP, gl.INCR);
    gl.depthMask(false);
    gl.uniform1f(places.lit, 0);
    for (const part of parts) this.drawPart(part, multiply(flat, part.model), [0, 0, 0.02, 0.45], places);
    gl.disable(gl.STENCIL_TEST);
    gl.depthMask(true);
  }

  drawPart({ mesh, make }, model, colour, places) {
    const { gl } = this, { array, count } = this.mesh(mesh, make);
    gl.bindVertexArray(array);
    gl.uniformMatrix4fv(places.model, false, model);
    gl.uniform4fv(places.colour, colour);
    gl.drawArrays(gl.TRIANGLES, 0, count);
  }

  drawLines(lines, program, ratio) {
    const { gl, canvas } = this, data = [];
    for (const { points, colour, width } of lines)
      for (let k = 1; k < points.length; k++)
        data.push(...points[k - 1], ...points[k], ...colour(k / (points.length - 1)), width * ratio);
    this.use(program);
    gl.bindVertexArray(this.lineArray);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.segments);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(data), gl.STREAM_DRAW);
    gl.uniform2f(program.places.size, canvas.width, canvas.height);
    gl.depthMask(false);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, data.length / 11);
    gl.depthMask(true);
  }
}
