// The page's GAN on points: its state, controls, presets and the loop.
'use strict';

const element = (id) => document.getElementById(id);

const Play = (() => {
  const REACH = 3; // The plane shows [-3, 3].
  const [WIDTHS, LATENTS, BATCH] = [[32, 32], 2, 64];
  const [SHOWN, ARROWS, LONGEST, CLOSE] = [256, 80, 34, 0.3];
  const FRAME_MS = 12; // of training in a frame
  const MOST_POINTS = 600; // of a curve

  const PRESETS = {
    'A GAN that works': {
      text: 'R1 and R2 keep D smooth, so the samples spread over all groups.',
      set: { penalty: 'r1_r2', weight: 0.1 },
    },
    'Mode collapse': {
      text: 'A fast generator sends all samples to the place that D likes best. D learns, and they move on.',
      set: { seed: 2, generator: 0.003, discriminator: 0.0005 },
    },
    'R1 and R2 cure it': {
      text: 'The same rates and seed with penalties: the hills of D stay gentle, and the samples spread.',
      set: {
        ...{ seed: 2, generator: 0.003, discriminator: 0.0005 },
        ...{ penalty: 'r1_r2', weight: 1 },
      },
    },
  };
  const DEFAULTS = {
    ...{ shape: 'ring', loss: 'non_saturating', penalty: 'none', weight: 0.1 },
    ...{ generator: 0.002, discriminator: 0.002, steps: 1, seed: 1 },
  };

  // The settings of the controls, and everything that training changes.
  const play = { ...DEFAULTS, running: false, points: [], train };
  const plane = Draw.context(element('plane'));
  const curves = Draw.context(element('curves'));
  const cells = Draw.cells(REACH);
  let isStale = true; // The pictures are older than the game.

  // State --------------------------------------------------------------------

  function choose(shape) {
    play.shape = shape;
    const draw = Points.SHAPES[shape];
    play.points = draw ? draw(Points.random(play.seed)) : [];
    isStale = true;
  }

  // Starts again with new weights. The points stay.
  function reset() {
    const rng = Points.random(play.seed);
    const create = (from, to) => Game.create([from, ...WIDTHS, to], rng);
    play.networks = {
      generator: create(LATENTS, 2),
      discriminator: create(2, 1),
    };
    play.latents = Points.noise(SHOWN, LATENTS, rng.normal);
    Object.assign(play, { rng, round: 0, every: 1, pending: [] });
    play.losses = { discriminator: [], generator: [] };
    element('message').textContent = '';
    isStale = true;
  }

  // Trains one round, and pauses where that is impossible.
  function train() {
    if (!play.points.length) return pause('Draw some points first.');
    const { rng, steps } = play;
    const many = (count, make) => Array.from({ length: count }, make);
    const batch = {
      reals: many(steps, () => Points.batch(play.points, BATCH, rng)),
      latents: many(steps + 1, () => Points.noise(BATCH, LATENTS, rng.normal)),
      shares: many(steps, () => Points.noise(BATCH, 1, rng.uniform)),
    };
    const losses = Game.round(game(), batch);
    play.round += 1;
    isStale = true;
    const values = Object.values(losses);
    if (!values.every(Number.isFinite)) {
      return pause('A loss is not finite. Press Reset.');
    }
    return record(losses);
  }

  const game = () => ({
    ...{ loss: play.loss, penalty: play.penalty, weight: play.weight },
    rates: { generator: play.generator, discriminator: play.discriminator },
    ...play.networks,
  });

  // Keeps mean losses of `every` rounds, which doubles where a curve is long.
  function record(losses) {
    const mean = (values) => values.reduce((a, b) => a + b) / values.length;
    play.pending.push(losses);
    if (play.pending.length < play.every) return;
    for (const [name, values] of Object.entries(play.losses)) {
      values.push(mean(play.pending.map((each) => each[name])));
    }
    play.pending = [];
    if (play.losses.generator.length < MOST_POINTS) return;
    play.every *= 2;
    for (const [name, values] of Object.entries(play.losses)) {
      const pairs = values.filter((_, k) => k % 2 === 0);
      play.losses[name] = pairs.map((x, k) => mean([x, values[2 * k + 1]]));
    }
  }

  function pause(message = '') {
    play.running = false;
    element('start').textContent = 'Start';
    element('message').textContent = message;
  }

  function start() {
    play.running = true;
    element('start').textContent = 'Pause';
    element('message').textContent = '';
  }

  // Pictures -----------------------------------------------------------------

  const rows = ({ rows, cols, data }) =>
    Array.from({ length: rows }, (_, k) => [
      ...data.subarray(k * cols, (k + 1) * cols),
    ]);

  // Returns logits as values in [0, 1]: 0.5 where D does not know. Losses
  // without such a logit take the middle of reals and fakes.
  function certainty(logits, onReal, onFake) {
    const middle = (onReal + onFake) / 2;
    const scales = {
      ...{ non_saturating: [0, 1], minimax: [0, 1], hinge: [0, 2] },
      ...{ least_squares: [0.5, 4] },
    };
    const [centre, factor] = scales[play.loss] || [middle, 1];
    return Game.sigmoid(
      Game.matrix(logits.length, 1, logits.map((x) => factor * (x - centre))),
    ).data;
  }

  function draw() {
    const { generator, discriminator } = play.networks;
    const made = Game.apply(generator, play.latents);
    const samples = rows(made);
    const logits = (x) => Game.apply(discriminator, x);
    const mean = (x) => Game.mean(logits(x)).data[0];
    const real = play.points.length
      ? Points.batch(play.points, SHOWN, Points.random(0))
      : made;
    const onPlane = logits(cells).data;
    Draw.field(plane, certainty(onPlane, mean(real), mean(made)));
    Draw.dots(plane, REACH, play.points, Draw.REAL, 2);
    const pulls = rows(Game.pulls(game(), real, made)).slice(0, ARROWS);
    const arrows = pulls.map((pull) => Draw.arrow(pull, LONGEST));
    Draw.arrows(plane, REACH, samples, arrows, '#7a2c06');
    Draw.dots(plane, REACH, samples, Draw.FAKE, 2.5);
    const lines = {
      [Draw.REAL]: play.losses.discriminator,
      [Draw.FAKE]: play.losses.generator,
    };
    Draw.curves(curves, lines, play.round);
    element('round').textContent = play.round.toLocaleString('en');
    const share = Points.covered(play.points, samples, CLOSE);
    element('covered').textContent = play.points.length
      ? `${Math.round(100 * share)} %`
      : '–';
  }

  // The loop -----------------------------------------------------------------

  let since = { time: performance.now(), round: 0 };

  function measure(now) {
    if (now - since.time < 1000) return;
    const rate = (1000 * (play.round - since.round)) / (now - since.time);
    element('rate').textContent = rate > 0 ? rate.toFixed(0) : '–';
    since = { time: now, round: play.round };
  }

  function frame() {
    const begin = performance.now();
    for (let k = 0; play.running && k < play.speed; k++) {
      train();
      if (performance.now() - begin > FRAME_MS) break;
    }
    measure(begin);
    if (isStale) draw();
    isStale = false;
    requestAnimationFrame(frame);
  }

  // Controls -----------------------------------------------------------------

  const NUMBERS = ['weight', 'generator', 'discriminator', 'steps', 'seed'];

  // Shows the settings in the controls.
  function show() {
    for (const name of ['loss', 'penalty']) element(name).value = play[name];
    for (const name of NUMBERS) {
      const [input, value] = [element(name), play[name]];
      input.value = 'log' in input.dataset ? Math.log10(value) : value;
      const output = document.querySelector(`output[for=${name}]`);
      if (output) output.textContent = Number(value.toPrecision(2));
    }
    for (const button of document.querySelectorAll('[data-shape]')) {
      const isChosen = button.dataset.shape === play.shape;
      button.classList.toggle('chosen', isChosen);
    }
    element('weight').disabled = play.penalty === 'none';
  }

  function chosen(name, value) {
    play[name] = value;
    if (name === 'seed') reset();
    if (name === 'seed' && play.shape !== 'drawn') choose(play.shape);
    isStale = true;
    show();
  }

  function preset(name) {
    Object.assign(play, DEFAULTS, PRESETS[name].set);
    choose(play.shape);
    reset();
    show();
    start();
  }

  // Adds a few points around the pointer. The first stroke removes the shape.
  function pen(event) {
    if (!(event.buttons & 1)) return;
    if (play.shape !== 'drawn') choose('drawn');
    const centre = Draw.pointed(plane, REACH, event);
    for (let k = 0; k < 4; k++) {
      const near = (x) => x + 0.06 * play.rng.normal();
      play.points.push(centre.map(near));
    }
    element('message').textContent = '';
    isStale = true;
    show();
  }

  for (const name of ['loss', 'penalty']) {
    element(name).onchange = (event) => chosen(name, event.target.value);
  }
  for (const name of NUMBERS) {
    element(name).oninput = ({ target }) => {
      const value = Number(target.value);
      const isLog = 'log' in target.dataset;
      const number = isLog ? Number((10 ** value).toPrecision(2)) : value;
      if (target.checkValidity()) chosen(name, number);
    };
  }
  for (const button of document.querySelectorAll('[data-shape]')) {
    button.onclick = () => {
      choose(button.dataset.shape);
      show();
    };
  }
  for (const [name, { text }] of Object.entries(PRESETS)) {
    addPreset('presets', name, text, () => preset(name));
  }
  element('start').onclick = () => (play.running ? pause() : start());
  element('step').onclick = () => {
    pause();
    train();
  };
  element('reset').onclick = reset;
  element('speed').onchange = ({ target }) => (play.speed = +target.value);
  element('plane').onpointerdown = pen;
  element('plane').onpointermove = pen;

  play.speed = Number(element('speed').value);
  Object.assign(play, PRESETS['A GAN that works'].set);
  choose(play.shape);
  reset();
  show();
  requestAnimationFrame(frame);
  return play;
})();

// Adds a button with a name and a sentence.
function addPreset(id, name, text, onclick) {
  const button = document.createElement('button');
  const [title, body] = ['b', 'span'].map((tag) => document.createElement(tag));
  [title.textContent, body.textContent] = [name, text];
  button.className = 'preset';
  button.append(title, body);
  button.onclick = onclick;
  element(id).append(button);
}
