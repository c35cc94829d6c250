"""Serves a page of --mode=explore in a thread of a test."""

import contextlib
import threading

import uvicorn

from jaxgan.modes.explore import explorer, server, start

TOKEN = 'token-of-the-test'


@contextlib.contextmanager
def serving(workdir):
  """Serves a workdir; yields the port."""
  listener = start._listening(0)
  application = server.application(explorer.Explorer(workdir), TOKEN)
  config = uvicorn.Config(
    application,
    lifespan='off',
    log_level='critical',
    timeout_graceful_shutdown=1,
    ws='none',
  )
  serving = uvicorn.Server(config)
  thread = threading.Thread(target=serving.run, args=([listener],))
  thread.start()
  try:
    yield listener.getsockname()[1]
  finally:
    serving.should_exit = True
    thread.join()
    listener.close()
