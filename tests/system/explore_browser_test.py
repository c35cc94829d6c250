"""The page of --mode=explore in a headless Chromium.

The browser is that of the system (`apt-get install chromium`). Without it the
tests fail: a page that nobody has opened is not tested.
"""

import contextlib
import io
import pathlib
import shutil

import device_limit
import numpy as np
import pages
import pytest
import runs
from PIL import Image

from jaxgan.training import loop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WORKDIRS = runs.ROOT / 'tests' / 'fixtures' / 'workdirs'
SECONDS = 120  # that an answer may take while other tests run


@pytest.fixture(scope='module')
def browser():
  with pages.chromium() as browser:
    yield browser


class Page:
  """A tab that shows a run; problems of its scripts fail the test."""

  def __init__(self, browser, port):
    self.tab = browser.new_page(viewport={'width': 1200, 'height': 800})
    self.tab.set_default_timeout(1000 * SECONDS)
    self.problems, self.elsewhere = [], []
    self.tab.on('pageerror', lambda error: self.problems.append(str(error)))
    self.tab.on('request', self._note)
    self.host = f'http://127.0.0.1:{port}/'
    self.tab.goto(f'{self.host}{pages.TOKEN}/')
    self.settle()

  def _note(self, request):
    if not request.url.startswith((self.host, 'data:', 'blob:')):
      self.elsewhere.append(request.url)

  def settle(self):
    """Waits until all changes are shown, and returns the message."""
    self.tab.wait_for_selector('body[data-state=ready]')
    return self.tab.inner_text('#message', timeout=1000)

  def picture(self, name='grid'):
    """Returns the content of a canvas, after all changes are shown."""
    assert self.settle() == ''
    return self.tab.evaluate(f"document.getElementById('{name}').toDataURL()")

  def press(self, selector, *keys):
    for key in keys:
      self.tab.press(selector, key)

  def click_cell(self, row, column, rows, columns):
    """Clicks the middle of a cell of the grid."""
    box = self.tab.locator('#grid').bounding_box()
    x = (column + 0.5) * box['width'] / columns
    y = (row + 0.5) * box['height'] / rows
    self.tab.click('#grid', position={'x': x, 'y': y})

  def download(self, kind):
    with self.tab.expect_download() as download:
      self.tab.click(f'[data-save={kind}]')
    path = pathlib.Path(download.value.path())
    return download.value.suggested_filename, path.read_bytes()

  def view(self, name):
    self.tab.click(f'[data-view={name}]')
    assert self.settle() == ''

  def upload(self, data, name='picture.png'):
    self.tab.set_input_files(
      '#upload', {'name': name, 'mimeType': 'image/png', 'buffer': data}
    )
    return self.settle()

  def paint(self):
    """Draws a short stroke over the picture."""
    box = self.tab.locator('#paint').bounding_box()
    x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
    self.tab.mouse.move(x, y)
    self.tab.mouse.down()
    self.tab.mouse.move(x + 20, y + 20, steps=3)
    self.tab.mouse.up()

  def found(self):
    """Returns the pictures of an answer by name."""
    self.tab.click('#go')
    assert self.settle() == ''
    return self.tab.evaluate(
      'Object.fromEntries([...document.querySelectorAll("#found img")]'
      '.map((image) => [image.alt, image.src]))'
    )

  def close(self):
    self.tab.close()
    assert self.problems == []
    assert self.elsewhere == []


@pytest.fixture
def visit(browser):
  """Returns a function that opens a workdir; all is closed at the end."""
  with contextlib.ExitStack() as stack:
    ports = {}

    def opened(workdir):
      if workdir not in ports:
        ports[workdir] = stack.enter_context(pages.serving(workdir))
      page = Page(browser, ports[workdir])
      stack.callback(page.close)
      return page

    yield opened


def png(side=12):
  file = io.BytesIO()
  pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
  Image.fromarray(pixels).save(file, 'PNG')
  return file.getvalue()


def test_each_control_changes_the_samples(visit, unbroken):
  page = visit(unbroken)
  first = page.picture()
  seen = {first}

  def changes(selector, *keys):
    page.press(selector, *keys)
    picture = page.picture()
    assert picture not in seen, selector
    seen.add(picture)

  changes('#step', 'Home')
  page.press('#step', 'End')
  assert page.picture() == first
  changes('#truncation', 'Home')
  assert page.tab.inner_text('#truncation-value') == '0'
  page.press('#truncation', 'End')
  assert page.picture() == first
  sliders = page.tab.locator('[data-move]').count()
  assert sliders == 8
  for number in range(sliders):
    changes(f'[data-move="{number}"]', 'End')
  page.tab.click('#reset')
  assert page.picture() == first
  page.tab.fill('#seed', '7')
  changes('#seed', 'Enter')
  page.tab.click('#next-seed')
  assert page.tab.input_value('#seed') == '8'
  assert page.picture() not in seen
  page.tab.fill('#seed', '0')
  page.press('#seed', 'Enter')
  assert page.picture() == first


def test_play_shows_all_checkpoints(visit, unbroken):
  page = visit(unbroken)
  last = page.picture()
  steps = page.tab.evaluate(
    """async () => {
      const seen = new Set();
      const value = document.getElementById('step-value');
      const note = () => seen.add(value.textContent);
      new MutationObserver(note).observe(value, {childList: true});
      const play = document.getElementById('play');
      play.click();
      while (play.textContent !== 'Play') {
        await new Promise((done) => setTimeout(done, 50));
      }
      return [...seen];
    }"""
  )
  saved = sorted(int(p.name) for p in (unbroken / 'checkpoints').glob('[0-9]*'))
  assert [int(step) for step in steps] == saved
  assert page.picture() == last


def test_two_clicks_walk_from_one_to_the_other(visit, unbroken):
  page = visit(unbroken)
  plain = page.picture()
  assert page.tab.is_hidden('#walk')
  page.click_cell(0, 0, 8, 8)
  one = page.picture()
  page.click_cell(2, 5, 8, 8)
  assert len({plain, one, page.picture()}) == 3
  assert page.tab.is_visible('#walk')
  strip, middle = page.picture('strip'), page.picture('large')
  page.press('#position', 'Home')
  start = page.picture('large')
  page.press('#position', 'End')
  assert len({start, middle, page.picture('large')}) == 3
  page.press('[data-move="0"]', 'End')
  assert page.picture('strip') != strip
  name, data = page.download('walk')
  assert name == 'run_step12_walk.gif'
  with Image.open(io.BytesIO(data)) as gif:
    assert gif.n_frames > 10
  page.click_cell(2, 5, 8, 8)  # The second click on a picture takes it back.
  page.picture()
  assert page.tab.is_hidden('#walk')


def test_plane_follows_its_axes_and_the_picture(visit, unbroken):
  page = visit(unbroken)
  page.view('plane')
  seen = {page.picture()}
  for selector, value in ('#first', '3'), ('#second', '4'):
    page.tab.select_option(selector, value)
    picture = page.picture()
    assert picture not in seen
    seen.add(picture)
  page.view('samples')
  page.click_cell(1, 1, 8, 8)
  page.picture()
  page.view('plane')
  assert page.picture() not in seen


def test_what_is_shown_is_saved(visit, unbroken):
  page = visit(unbroken)
  page.press('[data-move="1"]', 'End')
  page.picture()
  name, data = page.download('png')
  assert name == 'run_step12.png'
  with Image.open(io.BytesIO(data)) as picture:
    assert min(picture.size) > 400
  name, data = page.download('npy')
  latents = np.load(io.BytesIO(data))
  assert latents.shape == (64, 8)
  page.tab.click('#reset')
  page.picture()
  _, data = page.download('npy')
  assert np.abs(latents - np.load(io.BytesIO(data)))[:, 1].min() > 0
  name, data = page.download('steps')
  with Image.open(io.BytesIO(data)) as gif:
    assert gif.n_frames == 3


def test_curves_and_scores_are_shown(visit, unbroken, tmp_path):
  workdir = tmp_path / 'run'
  shutil.copytree(unbroken, workdir)
  (workdir / 'eval.jsonl').write_text('{"step": 12, "frechet": 3.25}\n')
  page = visit(workdir)
  page.view('curves')
  page.tab.evaluate("document.getElementById('curves').decode()")
  assert '3.250' in page.tab.inner_text('#scores')


def test_picture_is_inverted_completed_and_joins_the_samples(visit, unbroken):
  page = visit(unbroken)
  before = page.picture()
  page.view('picture')
  assert page.tab.is_hidden('#painting')
  assert page.upload(png()) == ''
  uploaded = page.picture('paint')
  assert page.tab.inner_text('#go') == 'Find its latents'
  assert list(page.found()) == ['picture', 'found']
  assert 'dB' in page.tab.inner_text('#error')
  page.paint()
  assert page.picture('paint') != uploaded
  assert page.tab.inner_text('#go') == 'Complete'
  names = ['picture', 'with hole', 'completed', 'blended', 'found']
  found = page.found()
  assert list(found) == names
  assert len(set(found.values())) >= 4
  page.tab.click('#clear')
  assert page.picture('paint') == uploaded
  page.tab.click('#take')
  assert page.picture() != before
  assert page.tab.is_visible('#grid')
  page.view('picture')
  page.tab.click('#held-out')
  assert page.picture('paint') != uploaded


@pytest.mark.parametrize(
  ('data', 'text'),
  [
    (b'no picture', 'unreadable'),
    (b'', 'empty'),
    (b'\x89PNG\r\n\x1a\n' + b'\0' * 99, 'Choose another picture'),
    (b'x' * (2**24 + 1), 'more than 16777216 bytes'),
  ],
  ids=['text', 'empty', 'broken', 'large'],
)
def test_hostile_upload_gets_a_message(visit, data, text):
  page = visit(WORKDIRS / 'gan')
  page.view('picture')
  assert text in page.upload(data, 'evil.png')
  assert page.tab.is_visible('#message')
  assert page.tab.is_hidden('#painting')
  assert page.upload(png()) == ''  # The page goes on as before.


def test_class_changes_a_conditional_run(visit):
  page = visit(WORKDIRS / 'gan')
  turns = page.picture()
  page.tab.select_option('#class', label='3')
  three = page.picture()
  page.tab.select_option('#class', label='4')
  assert len({turns, three, page.picture()}) == 3
  page.tab.select_option('#class', label='all in turn')
  assert page.picture() == turns


def test_member_changes_a_population(visit):
  page = visit(WORKDIRS / 'population')
  first = page.picture()
  page.tab.select_option('#member', '1')
  assert page.picture() != first
  page.tab.select_option('#member', '0')
  assert page.picture() == first


def test_category_changes_an_infogan(visit, tmp_path):
  config = runs.module(runs.ROOT / 'configs' / 'infogan_mnist.py').get_config()
  config.update_from_flattened_dict(
    {
      'data.source': 'toy',
      'data.name': 'random',
      'generator.widths': (8, 8),
      'discriminator.widths': (8,),
      'generator.hidden': 8,
      'latent_size': 4,
      'num_steps': 0,
      'sample_every': 0,
    }
  )
  with device_limit.limited(1):
    loop.train(config, tmp_path / 'run')
  page = visit(tmp_path / 'run')
  drawn = page.picture()
  pictures = {drawn}
  for category in ('0', '5'):
    page.tab.select_option('[data-category=categorical]', category)
    pictures.add(page.picture())
  assert len(pictures) == 3
  page.tab.select_option('[data-category=categorical]', label='as drawn')
  assert page.picture() == drawn


def test_autoencoder_shows_its_codes(visit):
  page = visit(WORKDIRS / 'autoencoder')
  samples = page.picture()
  page.press('[data-move="0"]', 'End')
  assert page.picture() != samples
  page.view('plane')
  assert page.picture() != samples
  page.view('picture')
  page.tab.click('#held-out')
  page.settle()
  assert page.tab.is_hidden('#brush-part')
  assert list(page.found()) == ['picture', 'found']


def test_translator_goes_there_and_back(visit):
  page = visit(WORKDIRS / 'cyclegan')
  examples = page.picture()
  page.tab.select_option('#function', 'generator_ba')
  assert page.picture() != examples
  assert page.tab.is_hidden('#moves-part')
  page.view('picture')
  assert page.upload(png()) == ''
  names = ['picture', 'generator_ba', 'back by generator_ab']
  found = page.found()
  assert list(found) == names
  assert len(set(found.values())) == 3


def test_completer_fills_a_painted_hole(visit):
  page = visit(WORKDIRS / 'inpaint')
  page.view('picture')
  page.tab.click('#held-out')
  page.settle()
  page.tab.click('#go')
  assert 'Paint a hole' in page.settle()
  page.paint()
  found = page.found()
  assert list(found) == ['with hole', 'completed', 'picture']
  assert len(set(found.values())) == 3


def test_two_tabs_do_not_disturb_each_other(visit, unbroken):
  one, other = visit(unbroken), visit(unbroken)
  assert one.picture() == other.picture()
  other.tab.fill('#seed', '5')
  other.press('#seed', 'Enter')
  other.press('#step', 'Home')
  changed = other.picture()
  one.press('[data-move="0"]', 'End')
  one.tab.click('#reset')
  assert one.picture() != changed
  assert other.picture() == changed


def test_run_that_ended_gets_a_message(visit, unbroken, tmp_path):
  """Checkpoints may go while a page is open."""
  workdir = tmp_path / 'run'
  shutil.copytree(unbroken, workdir)
  page = visit(workdir)
  page.picture()
  shutil.rmtree(workdir / 'checkpoints' / '5')
  page.press('#step', 'Home')
  assert 'has no checkpoint 5' in page.settle()
