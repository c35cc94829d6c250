// The page's Dirac-GAN: two numbers, whose path is drawn.
'use strict';

const Dirac = (() => {
  const [REACH, START, MOST] = [2, [1, -1], 3000];
  const PRESETS = {
    'The circle': {
      text: 'Each player answers the other, and both turn around the goal for ever.',
      set: { loss: 'minimax', order: 'alternating', weight: 0 },
    },
    'Outwards': {
      text: 'With updates from the same point, each step overshoots the circle.',
      set: { loss: 'minimax', order: 'together', weight: 0 },
    },
    'R1 pulls inwards': {
      text: 'R1 brakes the discriminator, so the path ends in the middle.',
      set: { loss: 'minimax', order: 'alternating', weight: 0.15 },
    },
  };
  const dirac = { ...PRESETS['The circle'].set, rate: 0.2, running: false };
  const canvas = Draw.context(element('circle'));
  let isStale = true;
  let flow = {};

  function restart(point) {
    dirac.path = [point];
    isStale = true;
  }

  // Computes the arrows of the flow, which depend on loss and weight.
  function findFlow() {
    const line = Array.from({ length: 11 }, (_, k) => (k - 5) * 0.36);
    const points = line.flatMap((x) => line.map((y) => [x, y]));
    const directions = points.map((point) =>
      Draw.arrow(Game.diracFlow(dirac, point), 26),
    );
    flow = { points, directions };
    isStale = true;
  }

  function train() {
    dirac.path.push(Game.diracRound(dirac, dirac.path.at(-1)));
    isStale = true;
    if (dirac.path.length > MOST) run(false);
  }

  function run(running) {
    dirac.running = running;
    element('dirac-start').textContent = running ? 'Pause' : 'Start';
  }

  function frame() {
    if (dirac.running) train();
    if (isStale) {
      Draw.path(canvas, REACH, dirac.path, flow);
      const distance = Math.hypot(...dirac.path.at(-1));
      element('dirac-round').textContent = dirac.path.length - 1;
      element('dirac-distance').textContent = distance.toFixed(3);
    }
    isStale = false;
    requestAnimationFrame(frame);
  }

  function show() {
    for (const name of ['loss', 'order', 'weight', 'rate']) {
      element(`dirac-${name}`).value = dirac[name];
      const output = document.querySelector(`output[for=dirac-${name}]`);
      if (output) output.textContent = dirac[name];
    }
    findFlow();
  }

  for (const option of element('loss').options) {
    element('dirac-loss').append(option.cloneNode(true));
  }
  for (const name of ['loss', 'order', 'weight', 'rate']) {
    element(`dirac-${name}`).oninput = ({ target }) => {
      dirac[name] = target.type === 'range' ? +target.value : target.value;
      show();
    };
  }
  for (const [name, { text, set }] of Object.entries(PRESETS)) {
    addPreset('dirac-presets', name, text, () => {
      Object.assign(dirac, set);
      restart(START);
      show();
      run(true);
    });
  }
  element('dirac-start').onclick = () => run(!dirac.running);
  element('dirac-step').onclick = () => {
    run(false);
    train();
  };
  element('dirac-reset').onclick = () => restart(START);
  element('circle').onpointerdown = (event) =>
    restart(Draw.pointed(canvas, REACH, event));

  restart(START);
  show();
  requestAnimationFrame(frame);
  return dirac;
})();
