"""The HTTP side of --mode=explore, by a server in a thread of the test."""

import concurrent.futures
import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import time

import compilation
import pages
import pytest
import runs
from pages import TOKEN

from jaxgan.modes.explore import server


@pytest.fixture(scope='module')
def port():
  path = runs.ROOT / 'tests' / 'fixtures' / 'workdirs' / 'gan'
  with pages.serving(path) as found:
    yield found


def ask(port, path, body=None, method='POST', host=None):
  """Returns the status, the headers and the body of an answer."""
  connection = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
  headers = {} if host is None else {'Host': host}
  with contextlib.closing(connection):
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def post(port, name, **form):
  return ask(port, f'/{TOKEN}/{name}', json.dumps(form))


def draw(port, seed, **form):
  """Returns the PNG of samples."""
  status, _, body = post(port, 'sample', seed=seed, num=3)
  assert status == 200
  status, headers, picture = post(port, 'images', **json.loads(body), **form)
  assert (status, headers['Content-Type']) == (200, 'image/png')
  return picture


def test_page_loads_nothing_from_elsewhere(port):
  for name, (file, kind) in server.FILES.items():
    status, headers, body = ask(port, f'/{TOKEN}/{name}', method='GET')
    assert status == 200
    assert headers['Content-Type'].startswith(kind)
    assert "default-src 'none'" in headers['Content-Security-Policy']
    assert headers['Referrer-Policy'] == 'no-referrer'
    text = body.decode()
    assert text == (server.PAGE / file).read_text()
    assert not re.search(r'(https?:)?//[a-z]+\.', text)
    # All files that a file names are served.
    for other in re.findall(r'[\'"](?:\./)?([\w.]+\.(?:js|css))[\'"]', text):
      assert other in server.FILES
  served = {file for file, _ in server.FILES.values()}
  assert served == {path.name for path in server.PAGE.iterdir()}


@pytest.mark.parametrize('method', ['GET', 'POST', 'OPTIONS'])
@pytest.mark.parametrize(
  'path', ['/', '/about', '/other/about', f'/{TOKEN[:-1]}/about', '//', '*']
)
def test_without_the_token_there_is_nothing(port, path, method):
  status, _, body = ask(port, path, '{}', method)
  assert status in (400, 404)
  assert b'gan' not in body


def test_other_names_of_this_machine_are_refused(port):
  """A page elsewhere whose name leads to 127.0.0.1 has its own name."""
  path = f'/{TOKEN}/about'
  assert ask(port, path, '{}', host='127.0.0.1')[0] == 200
  assert ask(port, path, '{}', host='localhost:80')[0] == 200
  for host in ('example.org', 'localhost.example.org', ''):
    assert ask(port, path, '{}', host=host)[0] == 404


@pytest.mark.parametrize(
  ('name', 'body', 'text'),
  [
    ('about', b'', 'JSON object'),
    ('about', b'\xff\xfe', 'JSON object'),
    ('about', b'[1]', 'JSON object'),
    ('about', b'[' * 100_000, 'JSON object'),
    ('about', b'{"step": 1e999}', 'step=inf'),
    ('sample', b'{"num": 100000}', 'num=100000 must be'),
    ('sample', b'{"seed": -1}', 'seed=-1'),
    ('images', b'{}', 'latents has 0 bytes'),
    ('plane', b'{"first": 9}', 'first=9'),
    ('picture', b'{"picture": "AAAA"}', 'unreadable'),
    ('picture', b'{"picture": ""}', 'empty'),
    ('search', b'{"picture": 3}', 'base64'),
    ('translate', b'{}', 'maps no pictures'),
    ('save', b'{"format": "exe"}', "format='exe' is unknown"),
    ('save', b'{"format": ["gif"]}', 'is unknown'),
  ],
)
def test_wrong_request_gets_a_message(port, name, body, text):
  status, _, answer = ask(port, f'/{TOKEN}/{name}', body)
  assert status == 400
  message = json.loads(answer)['error']
  assert text in message
  assert '\n' not in message


def test_large_request_is_refused_before_it_is_read(port, monkeypatch):
  monkeypatch.setattr(server, 'MOST_BYTES', 1000)
  status, _, body = ask(port, f'/{TOKEN}/about', b' ' * 2000)
  assert status == 400
  assert 'more than 1,000 bytes' in json.loads(body)['error']


def test_unknown_paths_and_methods_do_not_exist(port):
  for path in ('none', 'page.html', '../server.py', '%2e%2e/server.py'):
    assert ask(port, f'/{TOKEN}/{path}', method='GET')[0] == 404
  assert ask(port, f'/{TOKEN}/images', '{}', 'PUT')[0] == 405


def test_bug_gets_a_message_without_its_text(port, monkeypatch, caplog):
  def broken(*_):
    raise ZeroDivisionError('secret')

  monkeypatch.setattr(server.answers.forms, 'integer', broken)
  status, _, body = post(port, 'about')
  assert status == 500
  assert json.loads(body)['error'].startswith('a bug: ZeroDivisionError')
  assert 'secret' in caplog.text


def test_two_pages_do_not_disturb_each_other(port):
  """Each asks for its own seed, class and moves, both at once."""
  forms = [
    {'seed': seed, 'moves': [seed / 9, 0, 0, 0], 'truncation': 1.5}
    for seed in range(8)
  ]
  alone = [draw(port, **form) for form in forms]
  assert len(set(alone)) == len(alone)
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    together = list(pool.map(lambda form: draw(port, **form), 2 * forms))
  assert together == 2 * alone


def test_saved_file_has_a_name(port):
  _, _, body = post(port, 'sample', num=2)
  form = json.loads(body) | {'format': 'npy'}
  status, headers, _ = post(port, 'save', **form)
  assert status == 200
  assert headers['Content-Disposition'] == (
    'attachment; filename="gan_step4_latents.npy"'
  )


def test_port_in_use_is_refused(port):
  process = runs.call_main(
    '--mode=explore', '--workdir=digits', f'--port={port}'
  )
  assert process.returncode == 2
  assert f'--port={port} cannot be opened' in process.stderr
  process = runs.call_main('--mode=explore', '--port=70000')
  assert 'port=70000 must be in 0..65535' in process.stderr


def test_missing_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'uvicorn', None)
  process = runs.call_main('--mode=explore')
  assert process.returncode == 2
  assert 'jaxgan[explore]' in process.stderr


@pytest.mark.slow
def test_command_prints_an_address_and_ends_by_ctrl_c():
  process = subprocess.Popen(
    [sys.executable, '-u', '-m', 'jaxgan.main', '--mode=explore'],
    cwd=runs.ROOT,
    env=runs.os.environ | compilation.FAST,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  line = process.stdout.readline()
  _, port, token = re.match(
    r'(http://127\.0\.0\.1:(\d+)/([\w-]{20,})/) ', line
  ).groups()
  status, _, body = ask(int(port), f'/{token}/about', '{}')
  assert (status, json.loads(body)['name']) == (200, 'digits')
  assert ask(int(port), f'/{TOKEN}/about', '{}')[0] == 404
  process.send_signal(signal.SIGINT)
  start = time.monotonic()
  _, text = process.communicate(timeout=60)
  assert (process.returncode, text) == (0, '')
  assert time.monotonic() - start < 30
