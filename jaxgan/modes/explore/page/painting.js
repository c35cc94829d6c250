// The view of a picture: upload, paint a hole, search or translate.
import {$, base64, blob, decode, json, show} from './controls.js';

const MOST_BYTES = 2 ** 24, SIDE = 280;
let page = null;  // what `connect` was given
let pixels = null, hole = null, picture = '', found = null;

export function clear() {
  [pixels, hole, picture, found] = [null, null, '', null];
  show('painting', false);
  show('take', false);
  $('found').replaceChildren();
  $('error').textContent = '';
  $('upload').value = '';
}

const current = () =>
  page.run.functions.find(({name}) => name === page.state.function);
const takesHoles = () => page.run.searches || Boolean(current()?.holes);
const hasHole = () => hole !== null && hole.includes(1);

// Runs an action; its error becomes a message.
async function attempt(action) {
  document.body.dataset.state = 'busy';
  try {
    page.say('');
    await action();
  } catch (error) {
    page.say(error.message);
  }
  document.body.dataset.state = 'ready';
}

async function load(form) {
  const data = await blob('picture', {...page.place(), ...form});
  const image = await createImageBitmap(data);
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  clear();
  picture = await base64(data);
  pixels = context.getImageData(0, 0, image.width, image.height);
  hole = new Uint8Array(image.width * image.height);
  show('painting', true);
  $('brush').value = Math.max(1, Math.round(image.width / 10));
  show('brush-part', takesHoles());
  $('paint-hint').textContent = takesHoles() ? 'Paint over pixels to remove them.' : '';
  draw();
}

function draw() {
  const {width, height, data} = pixels;
  const shown = new ImageData(new Uint8ClampedArray(data), width, height);
  hole.forEach((isMissing, k) => {
    if (isMissing) shown.data.set([214, 80, 40, 255], 4 * k);
  });
  const canvas = $('paint');
  canvas.width = width;
  canvas.height = height;
  const scale = SIDE / Math.max(width, height);
  canvas.style.width = `${width * scale}px`;
  canvas.style.height = `${height * scale}px`;
  canvas.getContext('2d').putImageData(shown, 0, 0);
  const name = current()?.name;
  $('go').textContent = hasHole() || current()?.holes ? 'Complete'
    : page.run.searches || page.run.encodes ? 'Find its latents'
    : `Apply ${name}`;
}

function paint(event) {
  if (!event.buttons || !pixels || !takesHoles()) return;
  const {width, height} = pixels;
  const box = $('paint').getBoundingClientRect();
  const x = (event.clientX - box.left) * width / box.width;
  const y = (event.clientY - box.top) * height / box.height;
  const radius = $('brush').valueAsNumber;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if (Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius) {
        hole[row * width + column] = 1;
      }
    }
  }
  draw();
}

// Returns the mask as base64 of a PNG that is black in the hole.
async function mask() {
  const {width, height} = pixels;
  const known = new ImageData(width, height);
  hole.forEach((isMissing, k) => {
    known.data.set([...Array(3).fill(isMissing ? 0 : 255), 255], 4 * k);
  });
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d').putImageData(known, 0, 0);
  return base64(await canvas.convertToBlob({type: 'image/png'}));
}

async function go() {
  const {run, state} = page;
  const searches = run.searches || run.encodes;
  const answer = await json(searches ? 'search' : 'translate', {
    ...page.place(), picture, seed: state.seed, label: state.label,
    ...(hasHole() ? {mask: await mask()} : {}),
  });
  $('found').replaceChildren(...Object.entries(answer.pictures).map(([name, source]) => {
    const figure = document.createElement('figure');
    const image = Object.assign(document.createElement('img'), {src: source, alt: name});
    const caption = document.createElement('figcaption');
    caption.textContent = name;
    figure.append(image, caption);
    return figure;
  }));
  found = answer.latents
    ? {z: decode(answer.latents), labels: answer.labels} : null;
  show('take', found !== null);
  const name = found && answer.labels.length ? `, class ${run.classes[answer.labels[0]]}` : '';
  $('error').textContent = answer.psnr ? `Found: PSNR ${answer.psnr.toFixed(1)} dB${name}` : '';
}

export function connect(given) {
  page = given;
  const on = (id, name, action) => $(id).addEventListener(name, action);
  on('upload', 'change', () => attempt(async () => {
    const [file] = $('upload').files;
    if (!file) return;
    if (file.size > MOST_BYTES) {
      throw new Error(`${file.name} has more than ${MOST_BYTES} bytes. Choose a smaller file.`);
    }
    await load({picture: await base64(file)});
  }));
  on('held-out', 'click', () => attempt(() =>
    load({seed: Math.floor(Math.random() * 2 ** 31)})));
  on('paint', 'pointerdown', paint);
  on('paint', 'pointermove', paint);
  on('clear', 'click', () => {
    hole.fill(0);
    draw();
  });
  on('go', 'click', () => attempt(go));
  on('take', 'click', () => page.take(found));
}
