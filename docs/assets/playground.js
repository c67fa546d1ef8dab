// Playgrounds. The update rules stand in the page, as tools/playground.py made them from the formulas of the library;
// this file walks with them, and draws. A playground's `paths` are what it has computed: [x, y, f] for each step.
const WIDTH = 400, HEIGHT = 250, CURVE = 100, LEFT = 34, RIGHT = 392, BOTTOM = 84; // the pictures, the curve's axes
const FINE = 3; // the size of the cells in which contours are drawn

// Where an optimizer goes, until a number is not finite; then `ended` is that step. `also` is a part of its state.
function walk(rule, settings, surface, start, steps, also) {
  let state = start.map((theta) => ({ theta }));
  const path = Object.assign([[...start, surface.f(...start)]], { also: [] });
  for (let step = 1; step <= steps; step++) {
    const [x, y] = path.at(-1), noise = surface.noise[step - 1] ?? [0, 0];
    state = state.map((old, i) => rule(old, surface.gradient[i](x, y) + noise[i], step, settings));
    const place = state.map((now) => now.theta), point = [...place, surface.f(...place)];
    if (!point.every(Number.isFinite)) return Object.assign(path, { ended: step });
    path.push(point);
    const beside = state.map((now) => now[also]);
    if (also in state[0]) path.also.push([...beside, surface.f(...beside)]);
  }
  return path;
}

// The line of one level as an SVG path: in each cell it joins the sides that it crosses.
function contour(heights, level) {
  let drawn = "";
  for (let j = 0; j + 1 < heights.length; j++)
    for (let i = 0; i + 1 < heights[j].length; i++) {
      const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]], crossed = [];
      corners.forEach(([a, b], n) => {
        const [c, d] = corners[(n + 1) % 4], one = heights[b][a] - level, two = heights[d][c] - level;
        const share = one / (one - two), place = [a + share * (c - a), b + share * (d - b)];
        if (one < 0 !== two < 0) crossed.push(place.map((x) => (x * FINE).toFixed(1)).join(" "));
      });
      for (let n = 0; n + 1 < crossed.length; n += 2) drawn += `M${crossed[n]}L${crossed[n + 1]}`;
    }
  return drawn;
}

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const shown = (x) => (x && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e5) ? x.toExponential(1) : String(+x.toPrecision(3)));
const range = (low, high) => // the whole numbers between two numbers
  Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, i) => Math.ceil(low) + i);

function add(parent, name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  made.textContent = text;
  return parent.appendChild(made);
}

function play(root) {
  const [form, map, curve, now] = ["form", ".map", ".curve", ".now"].map((place) => root.querySelector(place));
  const { surfaces, dialects, defaults, also } = JSON.parse(form.querySelector("script").textContent);
  const { surface: chosen, x: startX, y: startY, steps } = form.elements;
  for (const surface of Object.values(surfaces)) {
    surface.f = new Function("x", "y", `return ${surface.f}`);
    surface.gradient = surface.gradient.map((text) => new Function("x", "y", `return ${text}`));
  }
  const sides = [...form.querySelectorAll("fieldset")].map((box) => {
    const name = box.dataset.rule, code = root.querySelector(`details[data-rule=${name}] code`).textContent;
    const rule = new Function("old", "grad_f", "step", "settings", code);
    return { box, name, rule, style: box.className, inputs: [...box.querySelectorAll("[name]")] };
  });
  let surface, at, from, handle, span; // at: from x, y to the picture; from: back; span: the steps of the curve

  // ---- Settings ----

  const valid = (input) => (input.checkValidity() ? (input.last = Number(input.value)) : input.last);
  const settingsOf = ({ inputs }) =>
    Object.fromEntries(inputs.map((input) => [input.name, input.type === "checkbox" ? input.checked : valid(input)]));

  // A slider and its number: on "unit" what is missing to 1 falls by powers of ten, on "log" the number grows by them.
  function toNumber(slider) {
    const { scale, low, high, least } = slider.dataset, p = Number(slider.value);
    const value = { unit: 1 - (10 ** (-4 * p)).toPrecision(2), log: p && (low * (high / low) ** p).toPrecision(2) };
    slider.nextElementSibling.value = scale ? Number(Math.max(value[scale], least).toPrecision(6)) : p;
  }
  function toSlider(slider) {
    const { scale, low, high } = slider.dataset, value = valid(slider.nextElementSibling);
    const p = { unit: -Math.log10(1 - value) / 4, log: Math.log(value / low) / Math.log(high / low) };
    slider.value = scale ? clamp(p[scale], 0, 1) : value;
    slider.setAttribute("aria-valuetext", value);
  }

  // The line of Python that makes this optimizer.
  function callOf({ box, name, inputs }) {
    const dialect = box.querySelector(".dialect")?.value, settings = settingsOf({ inputs }), given = {};
    const base = { ...defaults[name], ...(dialect && dialects[dialect][settings.momentum > 0 ? 1 : 0]) };
    for (const { name: key, dataset: { pair } } of inputs) {
      const [one, two] = [1, 2].map((i) => settings[`${pair?.slice(0, -1)}${i}`]);
      const python = { true: "True", false: "False" }[settings[key]] ?? settings[key];
      if (settings[key] !== base[key] || key === "lr") given[pair || key] = pair ? `(${one}, ${two})` : python;
    }
    const like = dialect ? `.like("${dialect}", params` : "(params";
    return `optim.${name}${like}${Object.entries(given).map(([key, value]) => `, ${key}=${value}`).join("")})`;
  }

  // ---- Drawing ----

  function drawMap() {
    surface = surfaces[chosen.value];
    const { x: [left, right], y: [low, high] } = surface;
    const scaled = (x, y) => [((x - left) / (right - left)) * WIDTH, ((high - y) / (high - low)) * HEIGHT];
    at = (x, y) => scaled(x, y).map((place) => clamp(place, -2000, 2000).toFixed(1));
    from = (across, down) => [left + (across / WIDTH) * (right - left), high - (down / HEIGHT) * (high - low)];
    const rows = range(0, HEIGHT / FINE + 1), columns = range(0, WIDTH / FINE + 1);
    const heights = rows.map((j) => columns.map((i) => surface.f(...from(i * FINE, j * FINE))));
    const sorted = heights.flat().sort((a, b) => a - b);
    map.replaceChildren();
    for (let n = 1; n < 12; n++) // closer together where it is low
      add(map, "path", { class: "contour", d: contour(heights, sorted[Math.floor(sorted.length * (n / 12) ** 2)]) });
    for (const x of range(left + 0.2, right - 0.1)) add(map, "text", { x: at(x, 0)[0], y: HEIGHT - 4, class: "x" }, x);
    for (const y of range(low + 0.2, high - 0.1)) add(map, "text", { x: 4, y: at(0, y)[1], class: "y" }, y);
    for (const place of surface.minima) add(map, "path", { class: "minimum", d: `M${at(...place)}m-4 0h8m-4-4v8` });
    for (const side of sides) {
      side.line = add(map, "path", { class: `line ${side.style}` });
      side.dots = add(map, "path", { class: `dots ${side.style}` });
      side.also = add(map, "path", { class: `also ${side.style}` });
      const mark = side.box.querySelector(".end").getAttribute("d");
      side.end = add(map, "path", { class: `end ${side.style}`, d: mark });
    }
    handle = add(map, "g", { class: "handle", tabindex: 0, role: "slider", "aria-label": "start; arrow keys move it",
      "aria-valuemin": surface.x[0], "aria-valuemax": surface.x[1] });
    for (const r of [20, 6]) add(handle, "circle", { r });
    form.querySelector(".text").textContent = surface.text;
  }

  function drawCurve(paths) {
    const power = (f) => Math.log10(Math.max(f, 1e-16)), points = paths.flatMap((path) => [...path, ...path.also]);
    const powers = points.map((point) => power(point[2]));
    const low = Math.floor(Math.min(...powers)), high = Math.max(Math.ceil(Math.max(...powers)), low + 1);
    const x = (step) => (LEFT + (step / (span ?? Math.max(valid(steps), 1))) * (RIGHT - LEFT)).toFixed(1);
    const y = (power) => (8 + ((high - power) / (high - low)) * (BOTTOM - 8)).toFixed(1);
    curve.replaceChildren();
    for (let one = high; one >= low; one -= Math.ceil((high - low) / 3)) {
      add(curve, "path", { class: "grid", d: `M${LEFT} ${y(one)}H${RIGHT}` });
      add(curve, "text", { x: LEFT - 4, y: y(one), class: "y" }, Math.abs(one) > 3 ? `1e${one}` : Number(`1e${one}`));
    }
    add(curve, "text", { x: LEFT, y: CURVE - 4 }, "0");
    add(curve, "text", { x: (LEFT + RIGHT) / 2, y: CURVE - 4, class: "x" }, "f after each step");
    add(curve, "text", { x: RIGHT, y: CURVE - 4, class: "right" }, `${span ?? valid(steps)} steps`);
    paths.forEach((path, i) => {
      for (const [kind, points, first] of [["line", path, 0], ["also", path.also, 1]]) {
        const places = points.map((point, step) => `${x(first + step)} ${y(power(point[2]))}`);
        if (places.length) add(curve, "path", { class: `${kind} ${sides[i].style}`, d: `M${places.join("L")}` });
      }
    });
  }

  function draw() {
    for (const slider of form.querySelectorAll("[type=range]")) toSlider(slider);
    const start = [valid(startX), valid(startY)];
    root.paths = sides.map((side) => walk(side.rule, settingsOf(side), surface, start, valid(steps), also));
    const sentences = sides.map((side, i) => {
      const path = root.paths[i], places = path.map(([x, y]) => at(x, y).join(" "));
      const told = (point) => [..."xyf"].map((name, i) => `${name}\u00a0=\u00a0${shown(point[i])}`).join(", ");
      side.line.setAttribute("d", `M${places.join("L")}`);
      side.dots.setAttribute("d", places.map((place) => `M${place}h0`).join(""));
      side.end.setAttribute("transform", `translate(${places.at(-1)})`);
      side.box.querySelector(".call").textContent = callOf(side);
      const ended = path.ended ? `diverged, no finite numbers in step ${path.ended}; before it ` : "";
      const beside = path.also.map(([x, y]) => at(x, y).join(" "));
      side.also.setAttribute("d", beside.length ? `M${beside.join("L")}` : "");
      const more = beside.length ? `; its ${also} (dotted line): ${told(path.also.at(-1))}` : "";
      const dialect = side.box.querySelector(".dialect")?.value, as = dialect ? ` as in ${dialect}` : "";
      return `${side.name}${as} (${side.style} line): ${ended}${told(path.at(-1))}${more}.`;
    });
    now.textContent = [`Step ${valid(steps)}.`, ...sentences].join("\n");
    handle.setAttribute("transform", `translate(${at(...start)})`);
    handle.setAttribute("aria-valuenow", start[0]);
    handle.setAttribute("aria-valuetext", `x ${shown(start[0])}, y ${shown(start[1])}`);
    drawCurve(root.paths);
  }

  function renew() {
    drawMap();
    [startX.value, startY.value] = surface.start;
    draw();
  }

  // ---- What the reader does ----

  function moveTo(x, y) {
    startX.value = Number(clamp(x, ...surface.x).toFixed(2));
    startY.value = Number(clamp(y, ...surface.y).toFixed(2));
    draw();
  }
  function moveToPointer({ clientX, clientY }) {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(map.getScreenCTM().inverse());
    moveTo(...from(x, y));
  }
  function become(box, dialect) { // all but lr, so that the rules can be compared
    const values = { ...defaults[box.dataset.rule], ...dialects[dialect]?.[0] };
    for (const input of box.querySelectorAll("[name]:not([name=lr])"))
      input[input.type === "checkbox" ? "checked" : "value"] = values[input.name];
  }
  function run({ target }) {
    const begun = performance.now(), quick = matchMedia("(prefers-reduced-motion: reduce)").matches;
    span = valid(steps);
    target.disabled = true;
    requestAnimationFrame(function frame(time) {
      steps.value = quick ? span : clamp(Math.floor((time - begun) / 40), 0, span);
      const done = Number(steps.value) === span;
      now.setAttribute("aria-live", done ? "polite" : "off");
      draw();
      if (done) {
        [span, target.disabled] = [null, false];
        if (document.activeElement === document.body) target.focus({ preventScroll: true }); // a disabled button loses it
      } else requestAnimationFrame(frame);
    });
  }
  const onHandle = (event) => event.target.closest(".handle");
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(renew));
  form.addEventListener("input", ({ target }) => {
    if (target.type === "range") toNumber(target);
    if (target.className === "dialect") become(target.closest("fieldset"), target.value);
    target === chosen ? renew() : draw();
  });
  form.querySelector(".run").addEventListener("click", run);
  map.addEventListener("click", moveToPointer);
  map.addEventListener("pointerdown", (event) => onHandle(event) && map.setPointerCapture(event.pointerId));
  map.addEventListener("touchstart", (event) => onHandle(event) && event.preventDefault()); // or the page would scroll
  map.addEventListener("pointermove", (event) => map.hasPointerCapture(event.pointerId) && moveToPointer(event));
  map.addEventListener("keydown", (event) => {
    if (!arrows[event.key]) return;
    const [across, up] = arrows[event.key], far = event.shiftKey ? 0.5 : 0.05;
    event.preventDefault();
    moveTo(valid(startX) + across * far, valid(startY) + up * far);
  });
  renew();
}

document.querySelectorAll(".playground").forEach(play);
