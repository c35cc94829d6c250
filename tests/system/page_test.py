"""--mode=export --format=html: the page works in a browser, from a file."""

import io
import tarfile

import jax
import numpy as np
import pages
import pytest

from jaxgan import errors, gan
from jaxgan.modes import export, export_page
from jaxgan.modes import restore as restore_lib
from tests.modes.sample_test import finished_run


def halved(run):
  """The state of the EMA weights, rounded to 16 bits."""
  state = gan.use_ema_weights(run.method, run.state)
  generator = state.networks['generator']
  half = lambda x: x.astype(np.float16).astype(x.dtype)
  generator = generator.replace(
    params=jax.tree.map(half, generator.params),
    stats=jax.tree.map(half, generator.stats),
  )
  return state.replace(networks=state.networks | {'generator': generator})


def expected(run, latent, label=None):
  labels = () if label is None else (np.array([label], np.int32),)
  return gan.decode(run.method, halved(run), latent[None], *labels)[0]


def shown(page):
  """The large image, after the browser has drawn."""
  page.wait_for_function('window.shown && !window.isBusy()')
  return np.array(page.evaluate('window.shown'))


@pytest.fixture
def browser():
  with pages.chromium() as browser:
    yield browser


@pytest.mark.slow
def test_page_shows_what_the_network_makes(browser, tmp_path):
  fields = {'conditional': True, 'data.channels': 3, 'data.image_size': 12}
  workdir = finished_run(tmp_path / 'run [1]', **fields)
  path = export.export(workdir, format='html')
  assert path.stat().st_size < 15e6
  run = restore_lib.restore(workdir)
  latents = run.method.latents.sample(jax.random.key(0), export_page.LATENTS)
  page = browser.new_page()
  requests = []
  page.on('request', lambda request: requests.append(request.url))
  page.goto(path.as_uri())
  page.wait_for_selector('body[data-ready]', timeout=60_000)
  assert page.evaluate('document.body.dataset.ready') == 'yes'
  assert all(url.startswith(('file:', 'blob:')) for url in requests)
  close = lambda image: np.testing.assert_allclose(
    shown(page), np.ravel(image), atol=1e-3
  )
  close(expected(run, latents[0], 0))
  page.locator('#samples canvas').nth(5).click()
  close(expected(run, latents[5], 0))
  page.locator('#class').select_option('2')
  close(expected(run, latents[5], 2))
  rows = export._sliders(run, latents[:2])[1]
  page.locator('#direction1').evaluate(
    "e => { e.value = -1.5; e.dispatchEvent(new Event('input')); }"
  )
  close(expected(run, latents[5] - 1.5 * rows[1], 2))
  page.locator('#reset').click()
  close(expected(run, latents[5], 2))
  page.locator('#others').click()
  close(expected(run, latents[21], 2))
  with page.expect_download() as download:
    page.locator('#save').click()
  assert download.value.suggested_filename == 'sample.png'


def test_runs_without_latents_are_refused(tmp_path):
  workdir = finished_run(tmp_path / 'run', **{'data.name': 'ring'})
  archive = made_archive(tmp_path / 'runtime.tgz')
  with pytest.raises(errors.UserError, match='shows images'):
    export.export(workdir, format='html', runtime=str(archive))
  with pytest.raises(errors.UserError, match='--format=html'):
    export.export(workdir, runtime=str(archive))


PARTS = tuple(export_page.PARTS.values())


def made_archive(path, parts=PARTS):
  with tarfile.open(path, 'w:gz') as files:
    for part in parts:
      info = tarfile.TarInfo(part)
      info.size = 4
      files.addfile(info, io.BytesIO(b'part'))
  return path


def test_runtime_is_read_from_an_archive_or_refused(tmp_path, monkeypatch):
  parts = export_page.read_runtime(str(made_archive(tmp_path / 'good.tgz')))
  assert parts == dict.fromkeys(export_page.PARTS, b'part')
  other = made_archive(tmp_path / 'other.tgz', ['package/readme'])
  (tmp_path / 'text.tgz').write_text('no archive')
  for path in (other, tmp_path / 'text.tgz', tmp_path / 'absent.tgz'):
    with pytest.raises(errors.UserError, match='npm pack'):
      export_page.read_runtime(str(path))
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setenv('PATH', '')
  with pytest.raises(errors.UserError, match='npm, which fetches it'):
    export_page.read_runtime(None)


def test_texts_of_a_page_cannot_leave_their_places():
  about = {
    'title': '</script><b>',
    'classes': ['</script>'],
    'shape': (1, 1, 1),
  }
  about |= {'caption': '', 'directions': []}
  model = export_page.onnx.ModelProto().SerializeToString()
  text = export_page.page(
    model,
    np.zeros((16, 2)),
    np.zeros((1, 2)),
    about,
    {'runtime': b'', 'wasm': b''},
  )
  assert '<b>' not in text
  assert text.count('</script>') == export_page.TEMPLATE.read_text().count(
    '</script>'
  )
