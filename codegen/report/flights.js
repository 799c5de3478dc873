"use strict";
// Flights in space on a canvas: turned by dragging or with the arrow keys, played in time.
(() => {
  const source = document.getElementById("flights-data");
  if (!source) return;
  const scene = JSON.parse(source.textContent);
  const canvas = document.getElementById("scene"), pen = canvas.getContext("2d");
  const slider = document.getElementById("time"), play = document.getElementById("play");
  const floor = scene.floor;
  const clock = document.getElementById("clock"), figure = canvas.parentElement;
  let [azimuth, elevation] = scene.view, now = 0, before = null;
  canvas.hidden = false;
  figure.classList.add("alive");
  for (const part of figure.querySelectorAll(".live")) part.hidden = false;

  // A point about the centre, the scene's half size being 1, to pixels; the same view as in report_flights.py.
  function seen([x, y, z]) {
    const sa = Math.sin(azimuth), ca = Math.cos(azimuth), se = Math.sin(elevation), ce = Math.cos(elevation);
    const scale = Math.min(0.33 * canvas.clientWidth, 0.33 * canvas.clientHeight);
    return [canvas.clientWidth / 2 + scale * (ca * x - sa * y),
            0.47 * canvas.clientHeight - scale * (ce * z + se * (sa * x + ca * y))];
  }
  const placed = (p) => p.map((value, axis) => 2 * (value - scene.centre[axis]) / scene.size);

  function line(points, colour, width) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.beginPath();
    for (const point of points) pen.lineTo(...seen(point));
    pen.stroke();
  }

  function dot(point, colour, radius) {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(...seen(point), radius, 0, 7);
    pen.fill();
  }

  function cross(point) {
    const [x, y] = seen(point);
    pen.strokeStyle = "#b91c1c";
    pen.lineWidth = 2.5;
    for (const way of [1, -1]) {
      pen.beginPath();
      pen.moveTo(x - 6, y - 6 * way);
      pen.lineTo(x + 6, y + 6 * way);
      pen.stroke();
    }
  }

  // A vector of the body in the world: q v q*, of the quaternion w, x, y, z.
  function turned([w, x, y, z], [a, b, c]) {
    const u = y * c - z * b + w * a, v = z * a - x * c + w * b, t = x * b - y * a + w * c;
    return [a + 2 * (y * t - z * v), b + 2 * (z * u - x * t), c + 2 * (x * v - y * u)];
  }

  function vehicle(flight) {
    const at = placed(flight.p[now]);
    if (!flight.q.length || !flight.q[now].length) return dot(at, flight.colour, 5);
    const arm = 0.07;
    for (const [a, b] of [[arm, arm], [arm, -arm]]) {
      const tips = [[a, b, 0], [-a, -b, 0]].map((tip) => turned(flight.q[now], tip).map((v, axis) => v + at[axis]));
      line(tips, flight.colour, 3);
      for (const tip of tips) dot(tip, flight.colour, 3);
    }
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.lineJoin = "round";
    for (let k = -4; k <= 4; k++) {
      line([[-1, k / 4, floor], [1, k / 4, floor]], "#e2e8f0", 1);
      line([[k / 4, -1, floor], [k / 4, 1, floor]], "#e2e8f0", 1);
    }
    pen.font = "13px system-ui, sans-serif";
    pen.textAlign = "center";
    [..."xyz"].forEach((name, axis) => {
      const corner = [-1, -1, floor], tip = [...corner], text = [...corner];
      tip[axis] *= -1;
      text[axis] *= -1.12;
      line([corner, tip], "#94a3b8", 1.5);
      pen.fillStyle = "#1f2933";
      pen.fillText(name, ...seen(text));
    });
    for (const flight of scene.flights) {
      const path = flight.p.map(placed);
      line(path, flight.colour + "55", 1.5);
      line(path.slice(0, now + 1), flight.colour, 2);
      dot(path[0], flight.colour, 3.5);
      if (flight.lost) cross(path[path.length - 1]);
    }
    for (const flight of scene.flights) vehicle(flight);
    pen.textAlign = "left";
    pen.fillStyle = "#64748b";
    pen.fillText(`the box is ${scene.size.toPrecision(3)} m wide`, 10, canvas.clientHeight - 10);
    slider.value = now;
    clock.textContent = `${scene.times[now].toFixed(2)} s`;
  }

  function turn(right, up) {
    azimuth += right;
    elevation = Math.min(1.5, Math.max(-0.2, elevation + up));
    draw();
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    before = [event.clientX, event.clientY];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!before) return;
    turn((event.clientX - before[0]) / 150, (event.clientY - before[1]) / 150);
    before = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { before = null; });
  canvas.addEventListener("keydown", (event) => {
    const way = {ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1]}[event.key];
    if (!way) return;
    event.preventDefault();
    turn(...way);
  });

  let started = null, from = 0;
  function step(time) {
    if (started === null) return;
    const second = scene.times[from] + (time - started) / 1000;
    while (now < scene.last && scene.times[now + 1] <= second) now++;
    if (now === scene.last) stop();
    else requestAnimationFrame(step);
    draw();
  }
  function stop() {
    started = null;
    play.textContent = "play";
  }
  play.addEventListener("click", () => {
    if (started !== null) return stop();
    if (now === scene.last) now = 0;
    [started, from] = [performance.now(), now];
    play.textContent = "pause";
    requestAnimationFrame(step);
  });
  slider.addEventListener("input", () => {
    stop();
    now = Number(slider.value);
    draw();
  });
  window.addEventListener("resize", draw);
  now = scene.last;
  draw();
})();
