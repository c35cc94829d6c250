// A generative adversarial network on points, in plain JavaScript.
//
// A round equals `gan.train_step` of jaxgan with the networks of
// jaxgan/models/mlp.py, the losses of jaxgan/adversarial/losses.py and Adam as
// in optax. tests/system/play_test.py compares the weights after 20 rounds.
'use strict';

const Game = (() => {
  // Matrices and their gradients -------------------------------------------

  // A matrix that remembers its inputs. backs[i] maps the gradient at this
  // matrix to the gradient at inputs[i]. Gradients are made of the same
  // operations, so they have gradients too, as R1 requires.
  class Matrix {
    constructor(rows, cols, data, inputs = [], backs = []) {
      Object.assign(this, { rows, cols, data, inputs, backs });
    }
  }

  const zeros = (rows, cols) =>
    new Matrix(rows, cols, new Float64Array(rows * cols));
  const matrix = (rows, cols, data) =>
    new Matrix(rows, cols, Float64Array.from(data));
  const scalar = (x) => matrix(1, 1, [x]);
  const detach = (a) => new Matrix(a.rows, a.cols, a.data);

  function result(rows, cols, inputs, backs) {
    const data = new Float64Array(rows * cols);
    return new Matrix(rows, cols, data, inputs, backs);
  }

  function add(a, b) {
    const out = result(a.rows, a.cols, [a, b], [(g) => g, (g) => g]);
    for (let i = 0; i < out.data.length; i++) {
      out.data[i] = a.data[i] + b.data[i];
    }
    return out;
  }

  function mul(a, b) {
    const backs = [(g) => mul(g, b), (g) => mul(g, a)];
    const out = result(a.rows, a.cols, [a, b], backs);
    for (let i = 0; i < out.data.length; i++) {
      out.data[i] = a.data[i] * b.data[i];
    }
    return out;
  }

  // Returns factor * a + shift.
  function affine(a, factor, shift = 0) {
    const out = result(a.rows, a.cols, [a], [(g) => affine(g, factor)]);
    for (let i = 0; i < out.data.length; i++) {
      out.data[i] = factor * a.data[i] + shift;
    }
    return out;
  }

  const sub = (a, b) => add(a, affine(b, -1));

  function transpose(a) {
    const out = result(a.cols, a.rows, [a], [transpose]);
    for (let i = 0; i < a.rows; i++) {
      for (let j = 0; j < a.cols; j++) {
        out.data[j * a.rows + i] = a.data[i * a.cols + j];
      }
    }
    return out;
  }

  function matmul(a, b) {
    const backs = [
      (g) => matmul(g, transpose(b)),
      (g) => matmul(transpose(a), g),
    ];
    const out = result(a.rows, b.cols, [a, b], backs);
    const [x, y, z, inner, cols] = [a.data, b.data, out.data, a.cols, b.cols];
    const rest = inner % 4; // The loop over k takes four at a time, for speed.
    for (let i = 0; i < a.rows; i++) {
      const [from, to] = [i * inner, i * cols];
      for (let k = 0; k < rest; k++) {
        const p = x[from + k];
        for (let j = 0, at = k * cols; j < cols; j++) z[to + j] += p * y[at + j];
      }
      for (let k = rest; k < inner; k += 4) {
        const p = x[from + k];
        const q = x[from + k + 1];
        const r = x[from + k + 2];
        const s = x[from + k + 3];
        for (let j = 0, at = k * cols; j < cols; j++, at++) {
          z[to + j] +=
            p * y[at] +
            q * y[at + cols] +
            r * y[at + 2 * cols] +
            s * y[at + 3 * cols];
        }
      }
    }
    return out;
  }

  // Sums over rows, [B, D] to [1, D], and its adjoint.
  function sumRows(a) {
    const out = result(1, a.cols, [a], [(g) => repeatRow(g, a.rows)]);
    for (let i = 0; i < a.data.length; i++) {
      out.data[i % a.cols] += a.data[i];
    }
    return out;
  }

  function repeatRow(a, rows) {
    const out = result(rows, a.cols, [a], [sumRows]);
    for (let i = 0; i < rows; i++) {
      out.data.set(a.data, i * a.cols);
    }
    return out;
  }

  // Sums each row, [B, D] to [B, 1], and all elements, to [1, 1].
  const sumCols = (a) => matmul(a, matrix(a.cols, 1, Array(a.cols).fill(1)));
  const total = (a) => sumRows(sumCols(a));
  const mean = (a) => affine(total(a), 1 / (a.rows * a.cols));

  // Applies a function of numbers. `slope` maps (input, result) to the matrix
  // of derivatives.
  function pointwise(a, f, slope) {
    const out = result(a.rows, a.cols, [a], [(g) => mul(g, slope(a, out))]);
    out.data = a.data.map(f);
    return out;
  }

  const step = (a, low) =>
    new Matrix(a.rows, a.cols, a.data.map((x) => (x >= 0 ? 1 : low)));
  const leaky = (a, low) => mul(a, step(a, low));
  const relu = (a) => leaky(a, 0);
  const sigmoid = (a) =>
    pointwise(a, (x) => 1 / (1 + Math.exp(-x)), (_, y) =>
      mul(y, affine(y, -1, 1)),
    );
  const softplus = (a) =>
    pointwise(
      a,
      (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
      sigmoid,
    );
  const power = (a, p) =>
    pointwise(a, (x) => x ** p, (x) => affine(power(x, p - 1), p));

  // Returns the gradients of the sum of y with respect to the matrices xs.
  function gradients(y, xs) {
    const [order, seen, needed] = [[], new Set(), new Set(xs)];
    const visit = (node) => {
      if (seen.has(node)) return;
      seen.add(node);
      node.inputs.forEach(visit);
      if (node.inputs.some((x) => needed.has(x))) needed.add(node);
      order.push(node);
    };
    visit(y);
    const ones = new Float64Array(y.data.length).fill(1);
    const sums = new Map([[y, new Matrix(y.rows, y.cols, ones)]]);
    for (const node of order.reverse()) {
      if (!needed.has(node) || !sums.has(node)) continue;
      node.inputs.forEach((x, i) => {
        if (!needed.has(x)) return;
        const part = node.backs[i](sums.get(node));
        sums.set(x, sums.has(x) ? add(sums.get(x), part) : part);
      });
    }
    return xs.map((x) => sums.get(x) || zeros(x.rows, x.cols));
  }

  // Networks and their optimizer ---------------------------------------------

  const SLOPE = 0.2; // of the leaky rectifiers
  const [B1, B2, EPSILON] = [0.5, 0.99, 1e-8]; // of Adam

  // Returns a network of [kernel, bias, kernel, bias, ...] with Adam's state.
  function network(params) {
    const like = () => params.map((p) => new Float64Array(p.data.length));
    return { params, count: 0, first: like(), second: like() };
  }

  // Draws kernels as Flax does: normal, cut at two deviations, with a variance
  // of 1 / inputs. Biases are zero.
  function create(sizes, rng) {
    const params = [];
    for (let layer = 0; layer + 1 < sizes.length; layer++) {
      const [rows, cols] = sizes.slice(layer, layer + 2);
      const kernel = zeros(rows, cols);
      for (let i = 0; i < kernel.data.length; i++) {
        let x = rng.normal();
        while (Math.abs(x) > 2) x = rng.normal();
        kernel.data[i] = x / 0.87962566 / Math.sqrt(rows);
      }
      params.push(kernel, zeros(1, cols));
    }
    return network(params);
  }

  // Maps rows of inputs to rows of outputs.
  function apply({ params }, x) {
    for (let i = 0; i < params.length; i += 2) {
      x = add(matmul(x, params[i]), repeatRow(params[i + 1], x.rows));
      if (i + 2 < params.length) x = leaky(x, SLOPE);
    }
    return x;
  }

  // Moves the weights of a network along a gradient with Adam.
  function adam(network, grads, rate) {
    network.count += 1;
    const [c1, c2] = [1 - B1 ** network.count, 1 - B2 ** network.count];
    network.params.forEach(({ data }, k) => {
      const [m, v, g] = [network.first[k], network.second[k], grads[k].data];
      for (let i = 0; i < data.length; i++) {
        m[i] = B1 * m[i] + (1 - B1) * g[i];
        v[i] = B2 * v[i] + (1 - B2) * g[i] ** 2;
        data[i] -= (rate * m[i]) / c1 / (Math.sqrt(v[i] / c2) + EPSILON);
      }
    });
  }

  // Losses and penalties -----------------------------------------------------

  // The rows of `losses.PAIRS`: (logits of reals, logits of fakes) to a loss
  // per example. Papers stand there.
  const minus = (a) => affine(a, -1);
  const half = (a, goal) => affine(power(affine(a, 1, -goal), 2), 0.5);
  const logistic = (real, fake) => add(softplus(minus(real)), softplus(fake));
  const LOSSES = {
    non_saturating: {
      discriminator: logistic,
      generator: (real, fake) => softplus(minus(fake)),
    },
    minimax: {
      discriminator: logistic,
      generator: (real, fake) => minus(softplus(fake)),
    },
    least_squares: {
      discriminator: (real, fake) => add(half(real, 1), half(fake, 0)),
      generator: (real, fake) => half(fake, 1),
    },
    wasserstein: {
      discriminator: (real, fake) => sub(fake, real),
      generator: (real, fake) => minus(fake),
    },
    hinge: {
      discriminator: (real, fake) =>
        add(relu(affine(real, -1, 1)), relu(affine(fake, 1, 1))),
      generator: (real, fake) => minus(fake),
    },
    relativistic_pairing: {
      discriminator: (real, fake) => softplus(sub(fake, real)),
      generator: (real, fake) => softplus(sub(real, fake)),
    },
  };

  // Returns the squared slope of a critic at each row of x.
  function squaredSlope(critic, x) {
    const [slope] = gradients(critic(x), [x]);
    return sumCols(mul(slope, slope));
  }

  // Returns x + share * (y - x), with a share for each row.
  function between(x, y, shares) {
    const out = zeros(x.rows, x.cols);
    for (let i = 0; i < out.data.length; i++) {
      const share = shares.data[Math.floor(i / x.cols)];
      out.data[i] = x.data[i] + share * (y.data[i] - x.data[i]);
    }
    return out;
  }

  // The rows of `penalties.PENALTIES` that are offered. The weight of R1 and
  // R2 is gamma / 2 of the papers.
  const r1 = (critic, real) => mean(squaredSlope(critic, real));
  const PENALTIES = {
    none: () => scalar(0),
    r1,
    r1_r2: (critic, real, fake) => add(r1(critic, real), r1(critic, fake)),
    gradient_penalty: (critic, real, fake, shares) => {
      const square = squaredSlope(critic, between(real, fake, shares));
      return mean(power(affine(power(affine(square, 1, 1e-12), 0.5), 1, -1), 2));
    },
  };

  // Rounds -------------------------------------------------------------------

  // Trains one round: discriminator steps, then a generator step. `game` has
  // loss, penalty, weight, rates and both networks. A batch has `reals`,
  // `latents` and `shares`, a matrix for each discriminator step; the last of
  // `latents` belongs to the generator. Returns both losses.
  function round(game, batch) {
    const { generator: G, discriminator: D } = game;
    const [pair, penalty] = [LOSSES[game.loss], PENALTIES[game.penalty]];
    const critic = (x) => apply(D, x);
    let onD = 0;
    batch.reals.forEach((real, k) => {
      const fake = detach(apply(G, batch.latents[k]));
      const loss = mean(pair.discriminator(critic(real), critic(fake)));
      const term = penalty(critic, real, fake, batch.shares[k]);
      const sum = add(loss, affine(term, game.weight));
      adam(D, gradients(sum, D.params), game.rates.discriminator);
      onD += loss.data[0] / batch.reals.length;
    });
    const fake = apply(G, batch.latents.at(-1));
    const logits = [critic(batch.reals.at(-1)), critic(fake)];
    const loss = mean(pair.generator(...logits));
    adam(G, gradients(loss, G.params), game.rates.generator);
    return { discriminator: onD, generator: loss.data[0] };
  }

  // Returns minus the gradient of the generator's loss at each sample.
  function pulls(game, real, fake) {
    const critic = (x) => apply(game.discriminator, x);
    const pair = LOSSES[game.loss];
    const loss = pair.generator(critic(real), critic(fake));
    return minus(gradients(loss, [fake])[0]);
  }

  // The Dirac-GAN of benchmarks/dirac_game.py: a real at 0, a fake at theta,
  // logits psi * x. Returns minus both slopes: the velocity of (theta, psi).
  function diracFlow({ loss, weight }, [theta, psi]) {
    const [t, p] = [scalar(theta), scalar(psi)];
    const logits = [mul(p, scalar(0)), mul(p, t)];
    const pair = LOSSES[loss];
    const onD = add(pair.discriminator(...logits), affine(mul(p, p), weight));
    const [forG] = gradients(pair.generator(...logits), [t]);
    const [forD] = gradients(onD, [p]);
    return [-forG.data[0], -forD.data[0]];
  }

  // Returns the point after a round of gradient descent. `order` is 'together'
  // or 'alternating', with the discriminator first.
  function diracRound(game, [theta, psi]) {
    const [move, turn] = diracFlow(game, [theta, psi]);
    const next = psi + game.rate * turn;
    const seen = game.order === 'together' ? psi : next;
    const last = seen === psi ? move : diracFlow(game, [theta, seen])[0];
    return [theta + game.rate * last, next];
  }

  return {
    ...{ LOSSES, PENALTIES, apply, create, diracFlow, diracRound, gradients },
    ...{ matrix, mean, network, pulls, round, sigmoid },
  };
})();

if (typeof module !== 'undefined') module.exports = Game;
