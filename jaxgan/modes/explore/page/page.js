// The page of a run. All that a picture depends on is in `state`, and is sent
// with each request.
import {
  $, bitmap, blob, decode, download, drawCells, encode, fill, json, show,
} from './controls.js';
import * as painting from './painting.js';

const GAP = 3, WALK = 61, STRIP = 11, STRIP_SIDE = 96, COLOUR = '#ff7a1a';
const state = {
  view: 'samples', step: 0, member: 0, seed: 0, label: null, truncation: null,
  moves: [], categories: {}, function: null, axes: [0, 1], selected: [],
};
let run = null;  // the answer of `about`
let points = null, walk = null, columns = 1, cells = null, isPlaying = false;

const place = () => ({
  step: state.step, member: state.member,
  ...(state.function ? {function: state.function} : {}),
});
const hasLatents = () => run.size > 0;

// The request for images of some of the points.
function asked(z, labels, more = {}) {
  const label = state.label === null ? labels : labels.map(() => state.label);
  return {
    ...place(), latents: encode(z), labels: label, truncation: state.truncation,
    moves: state.moves, categories: state.categories, ...more,
  };
}

const rowsOf = (p, indices) => {
  const z = new Float32Array(indices.length * run.size);
  indices.forEach((index, k) => z.set(
    p.z.subarray(index * run.size, (index + 1) * run.size), k * run.size));
  return [z, p.labels.length ? indices.map((index) => p.labels[index]) : []];
};

// One request is under way at a time; changes in the meantime are joined.
const wanted = new Set();
let isRunning = false;

function update(...parts) {
  parts.forEach((part) => wanted.add(part));
  if (!isRunning) perform();
}

async function perform() {
  isRunning = true;
  document.body.dataset.state = 'busy';
  while (wanted.size) {
    const parts = new Set(wanted);
    wanted.clear();
    try {
      for (const part of Object.keys(PARTS)) {
        if (parts.has(part)) (await PARTS[part]() || []).forEach((p) => parts.add(p));
      }
      say('');
    } catch (error) {
      say(error.message);
    }
  }
  isRunning = false;
  document.body.dataset.state = 'ready';
}

function say(text) {
  $('message').textContent = text;
  show('message', Boolean(text));
}

// In this order; a part returns the parts that follow from it.
const PARTS = {
  async moves() {
    const found = await json('moves', place());
    showMoves(found);
  },
  async points() {
    state.selected = [];
    walk = null;
    if (!hasLatents()) {
      points = {view: state.view};
      return ['examples'];
    }
    const isPlane = state.view === 'plane';
    const found = isPlane
      ? await json('plane', {
          ...place(), ...state.centre, first: state.axes[0], second: state.axes[1]})
      : await json('sample', {...place(), seed: state.seed, num: run.images});
    points = {z: decode(found.latents), labels: found.labels, view: state.view};
    const count = points.z.length / run.size;
    columns = found.columns || Math.ceil(Math.sqrt(count));
    return ['images', 'walk'];
  },
  async taken() {
    points.z.set(state.taken.z);
    if (points.labels.length) points.labels[0] = state.taken.labels[0];
    state.selected = [0];
    return ['images', 'walk'];
  },
  async images() {
    if (!hasLatents()) return ['examples'];
    const count = points.z.length / run.size;
    const form = asked(points.z, points.labels, {columns});
    drawGrid(await bitmap('images', form), columns, count);
    return [];
  },
  async examples() {
    const num = Math.max(2, Math.min(8, Math.floor(stageWidth() / 90)));
    const picture = await bitmap('examples', {...place(), seed: state.seed, num});
    columns = Math.round(picture.width / run.shape[1]);
    const rows = Math.round(picture.height / run.shape[0]);
    drawGrid(picture, columns, columns * rows);
  },
  async walk() {
    show('walk', state.selected.length === 2);
    save('walk').disabled = state.selected.length !== 2;
    if (state.selected.length !== 2) return [];
    const [z, labels] = rowsOf(points, state.selected);
    const found = await json('walk', {
      ...place(), latents: encode(z), labels, num: WALK});
    walk = {z: decode(found.latents), labels: found.labels};
    return ['strip', 'large'];
  },
  async strip() {
    if (!walk) return [];
    const indices = [...Array(STRIP).keys()].map((k) => k * (WALK - 1) / (STRIP - 1));
    const [z, labels] = rowsOf(walk, indices);
    const picture = await bitmap('images', asked(z, labels, {columns: STRIP}));
    const width = Math.min(STRIP_SIDE, (stageWidth() - GAP * STRIP) / STRIP);
    const scale = scaleOf(width / run.shape[1]);
    drawCells($('strip'), picture, run.shape, STRIP, STRIP, scale, GAP);
    return [];
  },
  async large() {
    if (!walk) return;
    const [z, labels] = rowsOf(walk, [$('position').valueAsNumber]);
    const picture = await bitmap('images', asked(z, labels, {columns: 1}));
    const scale = scaleOf(168 / run.shape[0]);
    drawCells($('large'), picture, run.shape, 1, 1, scale, 0);
  },
  async curves() {
    const [picture, found] = await Promise.all([
      run.curves ? blob('curves', place()) : null, json('scores', {})]);
    if (picture) {
      URL.revokeObjectURL($('curves').src);
      $('curves').src = URL.createObjectURL(picture);
    }
    show('curves', Boolean(picture));
    showScores(found.rows);
  },
};

const stageWidth = () => document.querySelector('main').clientWidth - 40;
const scaleOf = (x) => x >= 1 ? Math.floor(x) : x;

function drawGrid(picture, columns, count) {
  if (run.kind === 'points') {
    cells = null;
    drawCells($('grid'), picture, [picture.height, picture.width], 1, 1, 1, 0);
    return;
  }
  const rows = Math.ceil(count / columns);
  const room = [
    (window.innerHeight - 130) / rows - GAP, stageWidth() / columns - GAP];
  const scale = scaleOf(Math.min(room[0] / run.shape[0], room[1] / run.shape[1]));
  cells = drawCells($('grid'), picture, run.shape, columns, count, scale, GAP);
  Object.assign(cells, {columns, count, scale});
  state.selected.forEach((index, k) => mark(index, 'AB'[k]));
}

function mark(index, letter) {
  const {context, right, down} = cells;
  const [x, y] = [(index % cells.columns) * right, Math.floor(index / cells.columns) * down];
  context.strokeStyle = COLOUR;
  context.lineWidth = 3;
  context.strokeRect(x + 1.5, y + 1.5, right - GAP - 3, down - GAP - 3);
  context.fillStyle = COLOUR;
  context.fillRect(x, y, 16, 16);
  context.fillStyle = '#000';
  context.font = 'bold 12px sans-serif';
  context.fillText(letter, x + 4, y + 12);
}

function click(event) {
  if (!cells || !hasLatents()) return;
  const index = Math.floor(event.offsetY / cells.down) * cells.columns
    + Math.floor(event.offsetX / cells.right);
  if (index >= cells.count) return;
  const {selected} = state;
  if (selected.includes(index)) state.selected = selected.filter((k) => k !== index);
  else state.selected = selected.length === 2 ? [index] : [...selected, index];
  update('images', 'walk');
}

function showMoves({names, source, reach}) {
  if (names.length !== state.moves.length) state.moves = names.map(() => 0);
  $('moves-source').textContent = source;
  $('moves').replaceChildren(...names.map((name, k) => {
    const label = document.createElement('label');
    const value = document.createElement('output');
    label.append(name, value);
    const slider = Object.assign(document.createElement('input'), {
      type: 'range', min: -reach, max: reach, step: reach / 60,
      value: state.moves[k], ariaLabel: name,
    });
    slider.dataset.move = k;
    value.textContent = state.moves[k].toFixed(1);
    slider.addEventListener('input', () => {
      state.moves[k] = slider.valueAsNumber;
      value.textContent = state.moves[k].toFixed(1);
      update('images', 'strip', 'large');
    });
    const row = document.createElement('div');
    row.append(label, slider);
    return row;
  }));
  for (const [k, id] of ['first', 'second'].entries()) {
    fill($(id), names, [...names.keys()]);
    state.axes[k] = Math.min(state.axes[k], Math.max(names.length - 1, 0));
    $(id).value = state.axes[k];
  }
}

function showScores(rows) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
    .filter((name) => !['images', 'seconds'].includes(name));
  const table = document.createElement('table');
  const line = (texts, kind) => {
    const row = table.insertRow();
    row.append(...texts.map((text) => {
      const cell = document.createElement(kind);
      cell.textContent = text;
      return cell;
    }));
  };
  line(names, 'th');
  const text = (x) => typeof x === 'number' && !Number.isInteger(x)
    ? x.toPrecision(4) : x ?? '';
  rows.forEach((row) => line(names.map((name) => text(row[name])), 'td'));
  $('scores').replaceChildren(rows.length ? table : 'No scores yet.');
}

const save = (kind) => document.querySelector(`[data-save=${kind}]`);

async function saveAs(kind) {
  const isWalk = kind === 'walk';
  const [z, labels] = isWalk
    ? rowsOf(points, state.selected) : [points.z, points.labels];
  const format = {walk: 'gif', steps: 'gif'}[kind] || kind;
  const over = isWalk ? 'walk' : 'steps';
  await download(asked(z, labels, {format, over, columns}));
}

function setStep(index) {
  $('step').value = index;
  state.step = run.steps[index];
  $('step-value').textContent = state.step.toLocaleString();
  // Codes are those of the encoder of the checkpoint.
  if (run.kind === 'codes') update('moves', 'points');
  else update('images', 'walk');
}

async function play() {
  isPlaying = !isPlaying;
  $('play').textContent = isPlaying ? 'Stop' : 'Play';
  for (let k = 0; k < run.steps.length && isPlaying; k++) {
    setStep(k);
    do await new Promise((done) => setTimeout(done, 250)); while (isRunning);
  }
  isPlaying = false;
  $('play').textContent = 'Play';
}

function setView(view) {
  state.view = view;
  for (const button of document.querySelectorAll('[data-view]')) {
    button.toggleAttribute('aria-current', button.dataset.view === view);
  }
  const isGrid = view === 'samples' || view === 'plane';
  show('grid-view', isGrid);
  show('picture-view', view === 'picture');
  show('curves-view', view === 'curves');
  show('axes-part', view === 'plane');
  for (const id of ['seed-part', 'class-part']) $(id).classList.toggle('off', view === 'curves');
  for (const id of ['categories', 'truncation-part', 'moves-part', 'save-part']) {
    $(id).classList.toggle('off', !isGrid);
  }
  if (view === 'curves') update('curves');
  else if (isGrid && points?.view !== view) {
    // A plane goes through the picture that is selected.
    const [z, labels] = view === 'plane' && state.selected.length
      ? rowsOf(points, state.selected.slice(0, 1)) : [null, []];
    state.centre = z ? {latents: encode(z), labels} : {};
    update('points');
  }
}

// Puts a latent vector that was found first among the samples.
function take(found) {
  state.taken = found;
  setView('samples');
  update('taken');
}

function connect() {
  const on = (id, name, action) => $(id).addEventListener(name, action);
  on('grid', 'click', click);
  on('step', 'input', () => setStep($('step').valueAsNumber));
  on('play', 'click', play);
  on('member', 'change', () => {
    state.member = Number($('member').value);
    update('moves', 'points');
  });
  const setSeed = () => {
    state.seed = $('seed').valueAsNumber;
    update('points');
  };
  on('seed', 'change', setSeed);
  on('next-seed', 'click', () => {
    $('seed').value = ($('seed').valueAsNumber || 0) + 1;
    setSeed();
  });
  on('class', 'change', () => {
    state.label = $('class').value === '' ? null : Number($('class').value);
    update('images', 'strip', 'large');
  });
  on('function', 'change', () => {
    state.function = $('function').value;
    painting.clear();
    update('points');
  });
  on('truncation', 'input', () => {
    const {value, max} = $('truncation');
    state.truncation = value === max ? null : Number(value);
    $('truncation-value').textContent = value === max ? 'off' : value;
    update('images', 'strip', 'large');
  });
  on('reset', 'click', () => {
    state.moves = state.moves.map(() => 0);
    update('moves', 'images', 'strip', 'large');
  });
  for (const [k, id] of ['first', 'second'].entries()) {
    on(id, 'change', () => {
      state.axes[k] = Number($(id).value);
      update('points');
    });
  }
  on('position', 'input', () => update('large'));
  for (const button of document.querySelectorAll('[data-save]')) {
    button.addEventListener('click', () =>
      saveAs(button.dataset.save).then(() => say(''), (error) => say(error.message)));
  }
  for (const button of document.querySelectorAll('[data-view]')) {
    button.addEventListener('click', () => setView(button.dataset.view));
  }
  let timer = null;
  window.addEventListener('resize', () => {
    clearTimeout(timer);
    timer = setTimeout(() => points && update('images', 'strip'), 200);
  });
}

function describe() {
  $('name').textContent = run.name;
  document.title = `${run.name} · jaxgan`;
  $('about').textContent = `${run.method}, ${
    run.kind === 'points' ? 'points' : run.shape.join(' × ')}`;
  state.step = run.steps.at(-1);
  $('step').max = run.steps.length - 1;
  $('step').value = run.steps.length - 1;
  $('step-value').textContent = state.step.toLocaleString();
  $('step').disabled = $('play').disabled = run.steps.length === 1;
  save('steps').disabled = run.steps.length === 1 || run.kind === 'codes';
  show('member-part', run.members > 0);
  fill($('member'), [...Array(run.members).keys()]);
  show('class-part', run.classes.length > 0);
  fill($('class'), ['all in turn', ...run.classes], ['', ...run.classes.keys()]);
  show('truncation-part', run.truncation > 0);
  Object.assign($('truncation'), {
    max: run.truncation, step: run.truncation / 60, value: run.truncation});
  $('truncation-value').textContent = 'off';
  show('moves-part', hasLatents());
  show('save-part', hasLatents());
  const names = run.functions.map(({name}) => name);
  show('function-part', names.length > 1);
  fill($('function'), names);
  state.function = names[0] || null;
  $('categories').replaceChildren(...run.categories.map(({name, size}) => {
    const label = document.createElement('label');
    const select = document.createElement('select');
    select.dataset.category = name;
    fill(select, ['as drawn', ...Array(size).keys()], ['', ...Array(size).keys()]);
    select.addEventListener('change', () => {
      if (select.value === '') delete state.categories[name];
      else state.categories[name] = Number(select.value);
      update('images', 'strip', 'large');
    });
    label.append(name, select);
    return label;
  }));
  const isPoints = run.kind === 'points';
  for (const button of document.querySelectorAll('[data-view]')) {
    button.hidden = {
      plane: !hasLatents() || isPoints, picture: isPoints,
      curves: !run.curves && !run.scores,
    }[button.dataset.view] || false;
  }
  $('grid').classList.toggle('clickable', hasLatents() && !isPoints);
  $('hint').textContent = isPoints ? `${run.images} samples.`
    : hasLatents() ? 'Click two pictures to walk from one to the other.'
    : 'Held-out pictures, and the rows below them by the network.';
}

async function start() {
  try {
    run = await json('about', {});
  } catch (error) {
    document.body.dataset.state = 'ready';
    return say(error.message);
  }
  describe();
  connect();
  painting.connect({run, state, place, say, take, update});
  setView('samples');
  if (hasLatents()) update('moves');
}

start();
