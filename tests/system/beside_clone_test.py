"""A folder `jaxgan`, as a clone has, beside the working directory."""

import subprocess
import sys
import tomllib

from runs import ROOT


def test_folder_of_the_clone_does_not_hide_the_package(tmp_path):
  """An editable installation is a path entry, found after the folder."""
  settings = tomllib.loads((ROOT / 'pyproject.toml').read_text())
  assert settings['tool']['setuptools']['package-dir'] == {'': '.'}
  (tmp_path / 'jaxgan' / 'configs').mkdir(parents=True)
  site = tmp_path / 'site'
  site.mkdir()
  (site / 'jaxgan.pth').write_text(f'{ROOT}\n')
  program = (
    f'import site; site.addsitedir({str(site)!r}); import jaxgan; '
    'print(jaxgan.__file__)'
  )
  process = subprocess.run(
    [sys.executable, '-S', '-c', program],
    cwd=tmp_path,
    capture_output=True,
    text=True,
    env={},
  )
  assert process.stdout.strip() == str(ROOT / 'jaxgan' / '__init__.py')
