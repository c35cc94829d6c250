"""--mode=explore: opens a page of a trained run on this machine.

  python -m jaxgan.main --mode=explore --workdir=runs/gan_mnist

The page is served to this machine alone and loads nothing from elsewhere.
"""

import contextlib
import importlib
import secrets
import socket

from jaxgan import errors
from jaxgan.modes import requests as request_lib
from jaxgan.training import devices as devices_lib

HOST = '127.0.0.1'
MOST_PORT = 65_535


def explore(workdir, port: int = 0, data=None) -> None:
  """Serves the page until Ctrl-C, and prints its address.

  Args:
    workdir: the folder of the run.
    port: port of 127.0.0.1; 0 for a free one.
    data: fields of `config.data` to change, see `data_files.FIELDS`.

  Raises:
    UserError: if the run has nothing to show, if the port is in use, or if the
      extra is not installed.
  """
  request_lib.check_range('port', port, 0, MOST_PORT)
  uvicorn, explorer_lib, server = _libraries()
  devices_lib.use_compilation_cache()
  devices_lib.use_float32()
  token = secrets.token_urlsafe(16)
  with _listening(port) as listener:
    explorer = explorer_lib.Explorer(workdir, data)
    port = listener.getsockname()[1]
    print(f'http://{HOST}:{port}/{token}/ shows the run. Ctrl-C ends.')
    config = uvicorn.Config(
      server.application(explorer, token),
      lifespan='off',
      log_level='error',
      server_header=False,
      timeout_graceful_shutdown=1,
      ws='none',
    )
    with contextlib.suppress(KeyboardInterrupt):
      uvicorn.Server(config).run([listener])


def _libraries():
  """Returns the modules that need the extra `explore`."""
  try:
    importlib.import_module('starlette')
    uvicorn = importlib.import_module('uvicorn')
  except ImportError:
    raise errors.UserError(
      '--mode=explore needs starlette and uvicorn. Run pip install starlette '
      'uvicorn (the extra jaxgan[explore]).'
    ) from None
  from jaxgan.modes.explore import explorer, server

  return uvicorn, explorer, server


def _listening(port: int) -> socket.socket:
  """Returns a socket that listens to this machine alone."""
  try:
    return socket.create_server((HOST, port))
  except OSError as error:
    raise errors.UserError(
      f'--port={port} cannot be opened ({error.strerror}). Remove --port for a '
      'free port.'
    ) from None
