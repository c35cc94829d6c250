// Pictures on canvases: the plane, the losses, and the path of the Dirac-GAN.
'use strict';

const Draw = (() => {
  const [REAL, FAKE, GREY] = ['#1c5fa8', '#cf4a0a', '#8a949e'];
  const [FOR_FAKE, FOR_REAL] = [[245, 185, 138], [143, 188, 230]];
  const CELLS = 40; // squares of the field on each side
  const FONT = '11px system-ui, sans-serif';

  // Returns the context of a canvas with sharp lines on any screen. Its units
  // are those of the attributes width and height in the page.
  function context(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const { width, height } = canvas;
    canvas.style.width = `${width}px`;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const c = canvas.getContext('2d');
    c.scale(ratio, ratio);
    c.font = FONT;
    return Object.assign(c, { across: width, down: height });
  }

  // Maps [x, y] in [-reach, reach] to pixels.
  const place = (c, reach, [x, y]) => [
    (c.across * (x + reach)) / (2 * reach),
    (c.down * (reach - y)) / (2 * reach),
  ];

  // Returns the [x, y] in [-reach, reach] of an event of the pointer.
  const pointed = ({ canvas }, reach, { offsetX, offsetY }) => [
    (2 * reach * offsetX) / canvas.clientWidth - reach,
    reach - (2 * reach * offsetY) / canvas.clientHeight,
  ];

  // The centres of the squares of the field, as a matrix [CELLS ** 2, 2].
  function cells(reach) {
    const at = (k) => ((2 * k + 1) / CELLS - 1) * reach;
    const centre = (_, k) => [at(k % CELLS), -at(Math.floor(k / CELLS))];
    const rows = Array.from({ length: CELLS ** 2 }, centre);
    return Game.matrix(CELLS ** 2, 2, rows.flat());
  }

  const small = document.createElement('canvas');
  small.width = small.height = CELLS;

  // Colours the plane by values in [0, 1] at `cells`; 1 is real.
  function field(c, values) {
    const pen = small.getContext('2d');
    const image = pen.createImageData(CELLS, CELLS);
    values.forEach((value, k) => {
      const end = value < 0.5 ? FOR_FAKE : FOR_REAL;
      const share = Math.abs(2 * value - 1);
      end.forEach((x, i) => (image.data[4 * k + i] = 255 + share * (x - 255)));
      image.data[4 * k + 3] = 255;
    });
    pen.putImageData(image, 0, 0);
    c.imageSmoothingEnabled = true;
    c.imageSmoothingQuality = 'high';
    c.drawImage(small, 0, 0, c.across, c.down);
  }

  function dots(c, reach, points, color, radius) {
    c.fillStyle = color;
    for (const each of points) {
      const [x, y] = place(c, reach, each);
      c.beginPath();
      c.arc(x, y, radius, 0, 2 * Math.PI);
      c.fill();
    }
  }

  // Draws lines from points along [dx, dy], in pixels.
  function arrows(c, reach, points, directions, color, width = 1) {
    [c.strokeStyle, c.lineWidth] = [color, width];
    directions.forEach(([dx, up], k) => {
      const [x, y] = place(c, reach, points[k]);
      const dy = -up;
      const [u, v] = [x + dx, y + dy];
      c.beginPath();
      c.moveTo(x, y);
      c.lineTo(u, v);
      if (Math.hypot(dx, dy) > 4) {
        for (const side of [0.9, -0.9]) {
          c.moveTo(u, v);
          c.lineTo(
            u - 0.22 * (dx + side * dy),
            v - 0.22 * (dy - side * dx),
          );
        }
      }
      c.stroke();
    });
  }

  // Returns an arrow's [dx, dy]: short for small vectors, `most` for large.
  function arrow([x, y], most) {
    const length = Math.hypot(x, y);
    return [x, y].map((part) => (most * part) / (length + 0.25));
  }

  // Draws lines {color: values} over the rounds from 0 to `last`.
  function curves(c, lines, last) {
    c.clearRect(0, 0, c.across, c.down);
    const all = Object.values(lines).flat();
    if (!all.length) return;
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const [left, bottom, range] = [38, c.down - 18, high - low || 1];
    const height = (value) => bottom - ((value - low) / range) * (bottom - 10);
    [c.fillStyle, c.strokeStyle, c.lineWidth] = [GREY, '#d8dde3', 1];
    c.textAlign = 'right';
    for (const value of [low, high]) {
      c.fillText(value.toPrecision(2), left - 5, height(value) + 4);
      c.beginPath();
      c.moveTo(left, height(value));
      c.lineTo(c.across, height(value));
      c.stroke();
    }
    c.fillText(`${last}`, c.across - 4, c.down - 5);
    for (const [color, values] of Object.entries(lines)) {
      [c.strokeStyle, c.lineWidth] = [color, 1.3];
      c.beginPath();
      values.forEach((value, k) => {
        const share = values.length > 1 ? k / (values.length - 1) : 1;
        c.lineTo(left + share * (c.across - left - 4), height(value));
      });
      c.stroke();
    }
  }

  // Draws the path of (theta, psi), its circle around 0, and the flow.
  function path(c, reach, points, flow) {
    c.clearRect(0, 0, c.across, c.down);
    arrows(c, reach, flow.points, flow.directions, '#c3cad1');
    const [middle, side] = [place(c, reach, [0, 0]), c.across];
    [c.strokeStyle, c.lineWidth, c.fillStyle] = ['#d8dde3', 1, GREY];
    c.beginPath();
    c.moveTo(0, middle[1]);
    c.lineTo(side, middle[1]);
    c.moveTo(middle[0], 0);
    c.lineTo(middle[0], c.down);
    c.stroke();
    c.textAlign = 'left';
    c.fillText('ψ, slope of the discriminator', middle[0] + 6, 14);
    c.textAlign = 'right';
    c.fillText('θ, the sample', side - 6, middle[1] - 6);
    c.setLineDash([4, 4]);
    c.strokeStyle = GREY;
    c.beginPath();
    const radius = (Math.hypot(...points[0]) * side) / (2 * reach);
    c.arc(...middle, radius, 0, 2 * Math.PI);
    c.stroke();
    c.setLineDash([]);
    [c.strokeStyle, c.lineWidth] = [FAKE, 1.5];
    c.beginPath();
    points.forEach((each) => c.lineTo(...place(c, reach, each)));
    c.stroke();
    dots(c, reach, points.slice(0, 1), GREY, 3.5);
    dots(c, reach, [[0, 0]], REAL, 4);
    dots(c, reach, points.slice(-1), FAKE, 6);
  }

  return {
    ...{ FAKE, REAL, arrow, arrows, cells, context, curves, dots, field },
    ...{ path, pointed },
  };
})();
