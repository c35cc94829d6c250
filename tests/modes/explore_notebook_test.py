"""Sliders in a notebook: each control changes the picture."""

import sys

import ipywidgets
import pytest
from runs import ROOT

import jaxgan
from jaxgan import errors

WORKDIRS = ROOT / 'tests' / 'fixtures' / 'workdirs'


def parts(name):
  """Returns the controls by description, and the picture."""
  column, picture = jaxgan.explore(WORKDIRS / name).children
  controls = {
    child.description: child
    for child in column.children
    if not isinstance(child, ipywidgets.Label)
  }
  return controls, picture


@pytest.mark.parametrize(
  ('name', 'values'),
  [
    ('gan', {'seed': 3, 'class': 4, 'truncation': 0.5, 'latent 1': 2.0}),
    ('population', {'member': 1}),
    ('autoencoder', {'seed': 1, 'direction 0': 3.0}),
  ],
)
def test_each_control_changes_the_picture(name, values):
  controls, picture = parts(name)
  first = bytes(picture.value)
  assert first.startswith(b'\x89PNG')
  for description, value in values.items():
    control = controls[description]
    before, control.value = control.value, value
    assert picture.value != first, description
    control.value = before
    assert picture.value == first


def test_run_without_latents_is_refused():
  with pytest.raises(errors.UserError, match='no images from latents'):
    jaxgan.explore(WORKDIRS / 'pix2pix')


def test_missing_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'ipywidgets', None)
  with pytest.raises(errors.UserError, match=r'jaxgan\[notebook\]'):
    jaxgan.explore('digits')
