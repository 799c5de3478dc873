// Strip charts: the last seconds of some signals, in the colours of their crafts.

const GRID = 3; // lines across, the ends included

const LABEL = { font: "10px ui-monospace, monospace", left: 40 };

const label = (v) => (v && Math.abs(v) < 1e-3 ? v.toExponential(0) : String(+v.toPrecision(3)));

// A round number no smaller than `v`.
const round = (v) => {
  const power = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].find((m) => m * power >= v * 0.999) * power;
};

export class Strip {
  // `rows` signals of each of `crafts` over `seconds`. The range is fixed, or follows the signals: from `from` on, or
  // with null from the lowest, over `least` or more.
  constructor(parent, { title, unit = "", crafts, rows = 1, seconds, range = null, least = 1e-6, from = 0 }) {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${title} over the last ${seconds} seconds`);
    this.told = document.createElement("span");
    caption.append(unit && unit !== "1" ? `${title}, ${unit}` : title, this.told);
    figure.append(caption, this.canvas);
    parent.append(figure);
    Object.assign(this, { range, least, from, rows, crafts, seconds });
    this.clear();
  }

  // The values beside the title, in the crafts' colours.
  tell(texts, style) {
    this.told.replaceChildren(...texts.map((textContent, i) => {
      const value = Object.assign(document.createElement("b"), { textContent });
      value.style.color = texts.length > 1 ? style.colours[i] : "";
      return value;
    }));
  }

  clear() {
    this.times = [];
    this.lines = Array.from({ length: this.crafts * this.rows }, () => []);
  }

  // Values by craft and row; NaN leaves a gap.
  push(time, values) {
    this.times.push(time);
    values.forEach((v, i) => this.lines[i].push(v));
    while (this.times[0] < time - this.seconds) {
      this.times.shift();
      for (const line of this.lines) line.shift();
    }
  }

  bounds() {
    if (this.range) return this.range;
    let low = this.from ?? Infinity, high = low === Infinity ? -Infinity : low + this.least;
    for (const line of this.lines)
      for (const v of line) if (Number.isFinite(v)) [low, high] = [Math.min(low, v), Math.max(high, v)];
    if (this.from !== null) return [low, low + round(high - low)];
    if (low > high) return [0, 1];
    const wider = Math.max(this.least, 0.02 * Math.abs(high)) - (high - low);
    if (wider > 0) [low, high] = [low - wider / 2, high + wider / 2];
    const tick = round((high - low) / 2);
    low = Math.floor(low / tick) * tick;
    return [low, Math.max(low + 2 * tick, Math.ceil(high / tick) * tick)];
  }

  // `style` has colours by craft, the soft ink and the edge; crafts that are not `shown` are left out.
  draw(style, shown) {
    const { canvas, times } = this, ratio = devicePixelRatio, width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio))
      Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const pen = canvas.getContext("2d"), [low, high] = this.bounds();
    const { seconds } = this, now = Math.max(times.at(-1) ?? 0, seconds);
    const across = (t) => LABEL.left + (width - LABEL.left - 2) * (t - now + seconds) / seconds;
    const down = (v) => 7 + (height - 14) * (high - v) / (high - low);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    Object.assign(pen, { font: LABEL.font, fillStyle: style.soft, strokeStyle: style.edge, textAlign: "right",
      textBaseline: "middle", lineWidth: 1, globalAlpha: 1, lineJoin: "round" });
    for (let k = 0; k < GRID; k++) {
      const v = low + (high - low) * k / (GRID - 1), y = Math.round(down(v)) + 0.5;
      pen.fillText(label(v), LABEL.left - 6, y);
      pen.beginPath();
      pen.moveTo(LABEL.left, y);
      pen.lineTo(width, y);
      pen.stroke();
    }
    this.lines.forEach((line, n) => {
      const craft = Math.floor(n / this.rows);
      if (!shown[craft]) return;
      const below = this.crafts - 1 - craft; // wider, so that of equal lines both are seen
      Object.assign(pen, { strokeStyle: style.colours[craft], lineWidth: 1.4 + 1.8 * below });
      pen.globalAlpha = (below ? 0.75 : 1) * (1 - 0.5 * (n % this.rows) / this.rows);
      pen.beginPath();
      let drawing = false;
      line.forEach((v, k) => {
        const y = down(Math.min(high, Math.max(low, v)));
        if (Number.isFinite(v)) pen[drawing ? "lineTo" : "moveTo"](across(times[k]), y);
        drawing = Number.isFinite(v);
      });
      pen.stroke();
    });
  }
}
