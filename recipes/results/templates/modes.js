// Draws a structure and moves it along one of its normal modes. Nothing is loaded; the data are those of `animation`
// in dp_sim/recipes/static/mode_viewers.py: lengths in Angstrom, displacements as bytes, 127 for the atom that goes farthest.
(() => {
  "use strict";
  const get = (id) => document.getElementById(id);
  const data = JSON.parse(get("animation-data").textContent);
  const canvas = get("animation"), pen = canvas.getContext("2d");
  const chooser = get("animation-mode"), size = get("animation-size"), pause = get("animation-pause");
  const bytes = Int8Array.from(atob(data.displacements), (c) => c.charCodeAt(0));
  const n = data.elements.length, PERIOD_MS = 1400;
  const rows = [...document.querySelectorAll("#table-modes tbody tr")];

  // The points that are turned: atoms, then the corners of the cell.
  const corners = data.cell === null ? [] : [0, 1, 2, 3, 4, 5, 6, 7].map((k) =>
    [0, 1, 2].map((x) => data.origin[x] + [0, 1, 2].reduce((sum, a) => sum + ((k >> a) & 1) * data.cell[a][x], 0)));
  const edges = corners.length ? [0, 1, 2, 3, 4, 5, 6, 7].flatMap((k) => [1, 2, 4].filter((bit) => !(k & bit))
    .map((bit) => [k, k | bit])) : [];
  const all = data.positions.concat(corners);
  const middle = [0, 1, 2].map((x) => (Math.max(...all.map((p) => p[x])) + Math.min(...all.map((p) => p[x]))) / 2);
  const extent = Math.max(1, ...all.map((p) => Math.hypot(...p.map((value, x) => value - middle[x])))) + 0.8;
  let view = data.view, zoom = 1, chosen = 0, running = true, phase = 0, last = null;

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

  function draw() {
    const scale = zoom * 0.5 * Math.min(canvas.width, canvas.height) / extent;
    const swing = Number(size.value) * Math.sin(2 * Math.PI * phase) / 127, start = 3 * n * chosen;
    const place = (point) => {
      const [x, y, z] = turned(point);
      return [canvas.width / 2 + scale * x, canvas.height / 2 - scale * y, z];
    };
    const atoms = data.positions.map((point, i) => place(point.map((x, a) => x + swing * bytes[start + 3 * i + a])));
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.lineCap = "round";
    pen.strokeStyle = "#888";
    pen.lineWidth = 1;
    const box = corners.map(place);
    for (const [i, j] of edges) line(box[i], box[j]);
    const parts = atoms.map((atom, i) => [atom[2], i, null]);
    for (const [i, j] of data.bonds) {
      const middle = atoms[i].map((x, a) => (x + atoms[j][a]) / 2);
      parts.push([(atoms[i][2] + middle[2]) / 2, i, middle], [(atoms[j][2] + middle[2]) / 2, j, middle]);
    }
    parts.sort((a, b) => a[0] - b[0]); // from far to near
    pen.lineWidth = 0.16 * scale;
    for (const [, i, middle] of parts) {
      const { ball, radius } = balls[data.elements[i]], r = radius * scale, atom = atoms[i];
      if (middle === null) pen.drawImage(ball, atom[0] - r, atom[1] - r, 2 * r, 2 * r);
      else { // half a bond, from the surface of its ball
        const step = [middle[0] - atom[0], middle[1] - atom[1], scale * (middle[2] - atom[2])];
        const share = Math.min(1, 0.9 * r / Math.hypot(...step));
        line([atom[0] + share * step[0], atom[1] + share * step[1]], middle);
      }
    }
    get("animation-shown").textContent = `${Number(size.value).toFixed(2)} Å`;
  }

  function line(from, to) {
    pen.beginPath();
    pen.moveTo(from[0], from[1]);
    pen.lineTo(to[0], to[1]);
    pen.stroke();
  }

  function frame(now) {
    if (running && last !== null) phase = (phase + (now - last) / PERIOD_MS) % 1;
    last = now;
    draw();
    requestAnimationFrame(frame);
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

  data.numbers.forEach((number, index) => chooser.add(
    new Option(`${number}: ${data.frequencies[index].toFixed(1)} cm⁻¹`, String(index))));
  chooser.addEventListener("change", () => choose(Number(chooser.value)));
  rows.forEach((row, k) => {
    const index = data.numbers.indexOf(k + 1);
    if (index < 0) return;
    row.classList.add("moves");
    row.addEventListener("click", () => choose(index));
  });
  pause.addEventListener("click", () => {
    running = !running;
    pause.textContent = running ? "pause" : "move";
  });
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) turn(event.movementX / 120, event.movementY / 120);
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom = Math.min(8, Math.max(0.3, zoom * Math.exp(-event.deltaY / 600)));
  }, { passive: false });
  choose(0);
  requestAnimationFrame(frame);
})();
