"""Sliders on a trained run in a notebook, with ipywidgets.

jaxgan.explore('runs/gan_mnist')
"""

import functools
import importlib

import numpy as np

from jaxgan import errors
from jaxgan.modes import requests as request_lib
from jaxgan.modes.explore import answers, results
from jaxgan.modes.explore.explorer import Explorer

MOST_IMAGES = 25  # that are shown
WIDTH = '520px'


def explore(workdir):
  """Returns a widget with samples of a run and sliders that change them.

  Args:
    workdir: the folder of a run whose images come from latents or codes.

  Raises:
    UserError: if ipywidgets is not installed, or for other runs.
  """
  widgets = _library()
  explorer = Explorer(workdir)
  about = answers.about(explorer, {})
  answers.refuse_pictures(explorer.model({}))
  controls = _controls(widgets, about, answers.moves(explorer, {}))
  picture = widgets.Image(format='png', width=WIDTH)
  message = widgets.Label()
  names = ('step', 'member', 'seed', 'class', 'truncation')
  sample = functools.lru_cache(64)(functools.partial(_sample, explorer))

  def draw(change=None):
    del change
    values = {name: controls[name].value for name in controls}
    form = {k: values[k] for k in ('step', 'member') if k in values}
    num = min(about['images'], MOST_IMAGES)
    if about['kind'] == 'points':
      num = about['images']
    form |= sample(values['seed'], num, *form.items())
    if values.get('class') is not None:
      form['labels'] = [values['class']] * num
    if values.get('truncation', about['truncation']) < about['truncation']:
      form['truncation'] = values['truncation']
    form['moves'] = [v for k, v in values.items() if k.startswith('move ')]
    form['categories'] = {
      k.removeprefix('category '): v
      for k, v in values.items()
      if k.startswith('category ') and v is not None
    }
    form['columns'] = int(np.ceil(np.sqrt(num)))
    try:
      picture.value, _ = results.save(explorer, form)
      message.value = ''
    except errors.UserError as error:
      message.value = str(error)

  for control in controls.values():
    control.observe(draw, 'value')
  draw()
  general = [controls[name] for name in names if name in controls]
  others = [c for name, c in controls.items() if name not in names]
  column = widgets.VBox([*general, *others, message])
  return widgets.HBox([column, picture])


def _sample(explorer: Explorer, seed: int, num: int, *place) -> dict:
  return answers.sample(explorer, {'seed': seed, 'num': num, **dict(place)})


def _controls(widgets, about: dict, moves: dict) -> dict:
  """Returns the controls of a run by name, in the order that they have."""
  controls = {
    'step': widgets.SelectionSlider(
      options=about['steps'], value=about['steps'][-1], description='step'
    ),
    'seed': widgets.BoundedIntText(
      min=0, max=request_lib.MOST_SEED, description='seed'
    ),
  }
  if about['members']:
    options = list(range(about['members']))
    controls['member'] = widgets.Dropdown(options=options, description='member')
  if about['classes']:
    options = [('all in turn', None)]
    options += [(name, k) for k, name in enumerate(about['classes'])]
    controls['class'] = widgets.Dropdown(options=options, description='class')
  slider = functools.partial(widgets.FloatSlider, step=0.1)
  if limit := about['truncation']:
    controls['truncation'] = slider(
      min=0, max=limit, value=limit, description='truncation'
    )
  for part in about['categories']:
    options = [('as drawn', None), *((str(k), k) for k in range(part['size']))]
    controls[f'category {part["name"]}'] = widgets.Dropdown(
      options=options, description=part['name']
    )
  reach = moves['reach']
  for name in moves['names']:
    controls[f'move {name}'] = slider(
      min=-reach, max=reach, value=0, description=name
    )
  return controls


def _library():
  try:
    return importlib.import_module('ipywidgets')
  except ImportError:
    raise errors.UserError(
      'jaxgan.explore needs ipywidgets. Run pip install ipywidgets (the extra '
      'jaxgan[notebook]).'
    ) from None
