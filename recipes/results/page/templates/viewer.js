// Draws a structure, turns it, and plays its frames or one of its normal modes. Nothing is loaded. The data are those of
// `movie` in dp_sim/recipes/results/page/scene.py (frames: coordinates in steps from their middle) or of `animation` in
// dp_sim/recipes/static/mode_viewers.py (modes: displacements as bytes, 127 for the atom that goes farthest); Angstrom.
(() => {
  "use strict";
  const get = (id) => document.getElementById(id);
  const data = JSON.parse(get("view-data").textContent);
  const canvas = get("view"), pen = canvas.getContext("2d");
  const chooser = get("view-mode"), size = get("view-size"), slider = get("view-frame"), pause = get("view-pause");
  const shown = get("view-shown");
  const unpack = (text, Kind) => new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const n = data.elements.length, PERIOD_MS = 1400, FRAMES_PER_S = 12;
  const rows = [...document.querySelectorAll("#table-modes tbody tr")];
  const steps = "displacements" in data ? unpack(data.displacements, Int8Array) : null;
  const frames = steps === null ? unpackFrames() : [data.positions];
  const bonds = steps === null ? unpackBonds() : [data.bonds];
  const cellOf = (k) => steps === null ? data.cells && [data.cells[k], data.origins[k]] : data.cell && [data.cell, data.origin];

  function unpackFrames() {
    const numbers = unpack(data.coordinates, Int16Array);
    return data.labels.map((_, k) => Array.from({ length: n }, (_, i) =>
      [0, 1, 2].map((x) => data.middle[x] + data.step * numbers[3 * (k * n + i) + x])));
  }

  function unpackBonds() {
    const pairs = unpack(data.bonds, Uint16Array);
    let start = 0;
    return data.bond_counts.map((count) => {
      const list = Array.from({ length: count }, (_, b) => [pairs[2 * (start + b)], pairs[2 * (start + b) + 1]]);
      start += count;
      return list;
    });
  }

  function corners(k) { // of the cell
    const box = cellOf(k);
    return box ? [0, 1, 2, 3, 4, 5, 6, 7].map((c) =>
      [0, 1, 2].map((x) => box[1][x] + [0, 1, 2].reduce((sum, a) => sum + ((c >> a) & 1) * box[0][a][x], 0))) : [];
  }

  const edges = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((c) => [1, 2, 4].filter((bit) => !(c & bit)).map((bit) => [c, c | bit]));
  const all = frames.flatMap((points, k) => points.concat(corners(k)));
  const lowest = [0, 1, 2].map((x) => all.reduce((least, p) => Math.min(least, p[x]), Infinity));
  const middle = lowest.map((low, x) => (low + all.reduce((most, p) => Math.max(most, p[x]), -Infinity)) / 2);
  const extent = all.reduce((most, p) => Math.max(most, Math.hypot(...p.map((v, x) => v - middle[x]))), 1) + 0.8;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let view = data.view, zoom = 1, chosen = 0, phase = 0, last = null;
  let running = !still && (steps !== null || data.back), at = data.back ? 0 : frames.length - 1;

  const balls = Object.fromEntries(Object.entries(data.looks).map(([element, [radius, colour]]) => {
    const ball = document.createElement("canvas");
    ball.width = ball.height = 96;
    const brush = ball.getContext("2d"), light = brush.createRadialGradient(36, 32, 4, 48, 48, 47);
    light.addColorStop(0, "#fff");
    light.addColorStop(0.35, colour);
    light.addColorStop(1, "#333");
    brush.fillStyle = light;
    brush.beginPath();
    brush.arc(48, 48, 46, 0, 2 * Math.PI);
    brush.fill();
    return [element, { ball, radius }];
  }));

  const turned = (point) => view.map((row) => row.reduce((sum, value, x) => sum + value * (point[x] - middle[x]), 0));

  function points() {
    if (steps === null) return frames[at];
    const swing = Number(size.value) * Math.sin(2 * Math.PI * phase) / 127, start = 3 * n * chosen;
    return frames[0].map((point, i) => point.map((x, a) => x + swing * steps[start + 3 * i + a]));
  }

  function draw() {
    const sharp = window.devicePixelRatio || 1;
    canvas.width = Math.round(sharp * canvas.clientWidth);
    canvas.height = Math.round(sharp * canvas.clientHeight);
    const scale = zoom * 0.5 * Math.min(canvas.width, canvas.height) / extent;
    const place = (point) => {
      const [x, y, z] = turned(point);
      return [canvas.width / 2 + scale * x, canvas.height / 2 - scale * y, z];
    };
    const atoms = points().map(place), box = corners(at).map(place);
    pen.lineCap = "round";
    pen.strokeStyle = "#888";
    pen.lineWidth = sharp;
    if (box.length) for (const [i, j] of edges) line(box[i], box[j]);
    const parts = atoms.map((atom, i) => [atom[2], i, null]);
    for (const [i, j] of bonds[at]) {
      const half = atoms[i].map((x, a) => (x + atoms[j][a]) / 2);
      parts.push([(atoms[i][2] + half[2]) / 2, i, half], [(atoms[j][2] + half[2]) / 2, j, half]);
    }
    parts.sort((a, b) => a[0] - b[0]); // from far to near
    pen.lineWidth = 0.16 * scale;
    for (const [, i, half] of parts) {
      const { ball, radius } = balls[data.elements[i]], r = radius * scale, atom = atoms[i];
      if (half === null) pen.drawImage(ball, atom[0] - r, atom[1] - r, 2 * r, 2 * r);
      else { // half a bond, from the surface of its ball
        const step = [half[0] - atom[0], half[1] - atom[1], scale * (half[2] - atom[2])];
        const share = Math.min(1, 0.9 * r / Math.hypot(...step));
        line([atom[0] + share * step[0], atom[1] + share * step[1]], half);
      }
    }
    shown.textContent = steps === null ? data.labels[at] : `${Number(size.value).toFixed(2)} Å`;
    if (slider !== null) slider.value = String(at);
  }

  function line(from, to) {
    pen.beginPath();
    pen.moveTo(from[0], from[1]);
    pen.lineTo(to[0], to[1]);
    pen.stroke();
  }

  function tick(now) {
    if (!running) return;
    const passed = last === null ? 0 : now - last;
    if (steps !== null) {
      phase = (phase + passed / PERIOD_MS) % 1;
      last = now;
      draw();
    } else if (last === null || passed >= 1000 / FRAMES_PER_S) {
      const turns = data.back ? 2 * (frames.length - 1) : frames.length;
      phase = last === null ? at : (phase + 1) % turns;
      at = phase < frames.length ? phase : turns - phase;
      last = now;
      draw();
    }
    requestAnimationFrame(tick);
  }

  function run(yes) {
    running = yes && (steps !== null || frames.length > 1);
    last = null;
    if (pause !== null) pause.textContent = running ? "pause" : "play";
    if (running) requestAnimationFrame(tick);
    else draw();
  }

  function choose(index) {
    chosen = index;
    chooser.value = String(index);
    rows.forEach((row, k) => row.classList.toggle("chosen", k + 1 === data.numbers[index]));
  }

  function turn(dx, dy) { // about the axes of the screen
    const [cx, sx, cy, sy] = [Math.cos(dy), Math.sin(dy), Math.cos(dx), Math.sin(dx)];
    const by = [[cy, 0, sy], [sx * sy, cx, -sx * cy], [-cx * sy, sx, cx * cy]];
    view = by.map((row) => [0, 1, 2].map((x) => row.reduce((sum, value, k) => sum + value * view[k][x], 0)));
  }

  function offerModes() {
    data.numbers.forEach((number, index) => chooser.add(
      new Option(`${number}: ${data.frequencies[index].toFixed(1)} cm⁻¹`, String(index))));
    chooser.addEventListener("change", () => choose(Number(chooser.value)));
    size.addEventListener("input", draw);
    rows.forEach((row, k) => {
      const index = data.numbers.indexOf(k + 1);
      if (index < 0) return;
      row.classList.add("moves");
      row.addEventListener("click", () => choose(index));
    });
    choose(0);
  }

  if (steps !== null) offerModes();
  if (slider !== null) slider.addEventListener("input", () => {
    at = Number(slider.value);
    run(false);
  });
  if (pause !== null) pause.addEventListener("click", () => run(!running));
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    turn(event.movementX / 120, event.movementY / 120);
    draw();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom = Math.min(8, Math.max(0.3, zoom * Math.exp(-event.deltaY / 600)));
    draw();
  }, { passive: false });
  window.addEventListener("resize", draw);
  run(running);
})();
