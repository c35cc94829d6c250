// Requests, arrays as base64, and small helpers for elements.

export const $ = (id) => document.getElementById(id);

export function encode(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = '';
  for (let k = 0; k < bytes.length; k += 8192) {
    text += String.fromCharCode(...bytes.subarray(k, k + 8192));
  }
  return btoa(text);
}

export function decode(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

async function post(name, form) {
  let response;
  try {
    response = await fetch(name, {method: 'POST', body: JSON.stringify(form)});
  } catch {
    throw new Error('The server does not answer. Start the command again.');
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw new Error(answer.error || `The server answers ${response.status}.`);
}

export const json = async (name, form) => (await post(name, form)).json();
export const blob = async (name, form) => (await post(name, form)).blob();
export const bitmap = async (name, form) =>
  createImageBitmap(await blob(name, form));

export async function download(form) {
  const response = await post('save', form);
  const place = response.headers.get('Content-Disposition');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await response.blob());
  link.download = place.match(/filename="(.*)"/)[1];
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export const base64 = (data) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.replace(/^[^,]*,/, ''));
    reader.onerror = () => reject(new Error('The file cannot be read.'));
    reader.readAsDataURL(data);
  });

export function fill(select, texts, values = texts) {
  select.replaceChildren(
    ...texts.map((text, k) => new Option(text, values[k])),
  );
}

export const show = (id, isShown) => {
  $(id).hidden = !isShown;
};

// Draws the cells of a strip without gaps into a grid with gaps.
export function drawCells(canvas, picture, shape, columns, count, scale, gap) {
  const [height, width] = shape;
  const cells = picture.width / width;
  const rows = Math.ceil(count / columns);
  const [right, down] = [width * scale + gap, height * scale + gap];
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, (columns * right - gap) * ratio);
  canvas.height = Math.max(1, (rows * down - gap) * ratio);
  canvas.style.width = `${columns * right - gap}px`;
  canvas.style.height = `${rows * down - gap}px`;
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  context.imageSmoothingEnabled = scale < 1;
  for (let k = 0; k < count; k++) {
    context.drawImage(
      picture,
      (k % cells) * width, Math.floor(k / cells) * height, width, height,
      (k % columns) * right, Math.floor(k / columns) * down,
      width * scale, height * scale,
    );
  }
  return {right, down, context};
}
