// Points of the plane, and random numbers from a seed.
'use strict';

const Points = (() => {
  // Draws uniform and normal numbers from a seed (mulberry32).
  function random(seed) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const normal = () =>
      Math.sqrt(-2 * Math.log(1 - uniform())) *
      Math.cos(2 * Math.PI * uniform());
    return { uniform, normal };
  }

  const NUM = 512; // points of each shape

  // Returns points around one of `centres`, drawn at random for each.
  function mixture(centres, deviation, rng) {
    return Array.from({ length: NUM }, () => {
      const [x, y] = centres[Math.floor(rng.uniform() * centres.length)];
      return [x + deviation * rng.normal(), y + deviation * rng.normal()];
    });
  }

  // Each shape maps random numbers to points [x, y] in [-2.5, 2.5].
  const SHAPES = {
    ring(rng) {
      const turn = (k) => (2 * Math.PI * k) / 8;
      const centre = (_, k) => [2 * Math.cos(turn(k)), 2 * Math.sin(turn(k))];
      return mixture(Array.from({ length: 8 }, centre), 0.06, rng);
    },
    grid(rng) {
      const line = [-2, -1, 0, 1, 2];
      const centres = line.flatMap((x) => line.map((y) => [x, y]));
      return mixture(centres, 0.05, rng);
    },
    spiral(rng) {
      return Array.from({ length: NUM }, () => {
        const share = Math.sqrt(rng.uniform());
        const [radius, angle] = [0.3 + 1.9 * share, 3.5 * Math.PI * share];
        const [x, y] = [radius * Math.cos(angle), radius * Math.sin(angle)];
        return [x + 0.05 * rng.normal(), y + 0.05 * rng.normal()];
      });
    },
  };

  // Returns a matrix [count, 2] of points, drawn with replacement.
  function batch(points, count, rng) {
    const pick = () => points[Math.floor(rng.uniform() * points.length)];
    return Game.matrix(count, 2, Array.from({ length: count }, pick).flat());
  }

  // Returns a matrix [rows, cols] of numbers from `draw`.
  function noise(rows, cols, draw) {
    return Game.matrix(rows, cols, Array.from({ length: rows * cols }, draw));
  }

  // Returns the share of reals with a sample within `distance`.
  function covered(reals, samples, distance) {
    const isNear = ([x, y]) =>
      samples.some(([u, v]) => Math.hypot(x - u, y - v) < distance);
    return reals.filter(isNear).length / reals.length;
  }

  return { SHAPES, batch, covered, noise, random };
})();

if (typeof module !== 'undefined') module.exports = Points;
