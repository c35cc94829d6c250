"""A browser for tests, and pages of --mode=explore in a thread."""

import contextlib
import os
import shutil
import threading

import uvicorn

from jaxgan.modes.explore import explorer, server, start

TOKEN = 'token-of-the-test'
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')


@contextlib.contextmanager
def chromium():
  """Opens the system's Chromium; a missing one is a failure."""
  from playwright import sync_api

  paths = list(filter(None, map(shutil.which, BROWSERS)))
  assert paths, 'Chromium is missing: apt-get install chromium'
  flags = ['--no-sandbox'] if os.geteuid() == 0 else []
  with sync_api.sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=paths[0], args=flags)
    yield browser
    browser.close()


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
