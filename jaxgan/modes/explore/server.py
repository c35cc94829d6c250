"""HTTP for the page: files, and answers as JSON or pictures.

The first part of every path is a token, which only the printed address has.
Other paths do not exist, so that other users and pages get nothing.
"""

import hmac
import json
import logging
import pathlib
from collections.abc import Callable

from starlette import applications, concurrency, requests, responses, routing

from jaxgan import errors
from jaxgan.modes.explore import answers, results, searches
from jaxgan.modes.explore.explorer import Explorer

_logger = logging.getLogger(__name__)

PAGE = pathlib.Path(__file__).parent / 'page'
FILES = {
  '': ('page.html', 'text/html'),
  'page.css': ('page.css', 'text/css'),
  'page.js': ('page.js', 'text/javascript'),
  'controls.js': ('controls.js', 'text/javascript'),
  'painting.js': ('painting.js', 'text/javascript'),
}
HOSTS = ('127.0.0.1', 'localhost')
MOST_BYTES = 2**26  # of a request
HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src "
    "'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri "
    "'none'; form-action 'none'"
  ),
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}
ANSWERS = {
  'about': answers.about,
  'moves': answers.moves,
  'sample': answers.sample,
  'images': answers.images,
  'walk': answers.walk,
  'plane': answers.plane,
  'picture': searches.picture,
  'search': searches.search,
  'translate': searches.translate,
  'examples': searches.examples,
  'curves': results.draw_curves,
  'scores': results.scores,
  'save': results.save,
}


def _error(message: str, status: int) -> responses.Response:
  message = errors.printable(message)
  return responses.JSONResponse({'error': message}, status, HEADERS)


async def _body(request: requests.Request) -> bytes:
  """Returns the body; raises a UserError before it exceeds the limit."""
  parts, size = [], 0
  async for part in request.stream():
    size += len(part)
    if size > MOST_BYTES:
      raise errors.UserError(
        f'The request has more than {MOST_BYTES:,} bytes. Send a smaller file.'
      )
    parts.append(part)
  return b''.join(parts)


def _form(body: bytes) -> dict:
  """Returns the fields of a request; raises a UserError for other content."""
  try:
    form = json.loads(body)
  except (ValueError, RecursionError):
    form = None
  if not isinstance(form, dict):
    raise errors.UserError('The request must be a JSON object.')
  return form


def _response(answer) -> responses.Response:
  if isinstance(answer, dict):
    return responses.JSONResponse(answer, headers=HEADERS)
  if isinstance(answer, bytes):
    return responses.Response(answer, headers=HEADERS, media_type='image/png')
  data, name = answer
  name = ''.join(c if c.isascii() and c.isalnum() else '_' for c in name[:-4])
  suffix = answer[1][-4:]
  place = {'Content-Disposition': f'attachment; filename="{name}{suffix}"'}
  return responses.Response(
    data, headers=HEADERS | place, media_type='application/octet-stream'
  )


def _answering(explorer: Explorer, function: Callable) -> Callable:
  """Returns the endpoint of an answer; every error becomes a message."""

  async def endpoint(request: requests.Request) -> responses.Response:
    try:
      form = _form(await _body(request))
      answer = await concurrency.run_in_threadpool(function, explorer, form)
      return _response(answer)
    except (errors.UserError, OSError) as error:
      return _error(str(error), 400)
    except Exception as error:
      if lower := errors.out_of_memory(error):
        return _error(str(lower), 400)
      _logger.exception('%s failed', request.url.path.rpartition('/')[-1])
      return _error(f'a bug: {type(error).__name__}; see the terminal', 500)

  return endpoint


async def _file(request: requests.Request) -> responses.Response:
  name = request.path_params.get('name', '')
  if name not in FILES:
    return _error('not found', 404)
  file, kind = FILES[name]
  data = (PAGE / file).read_bytes()
  return responses.Response(data, headers=HEADERS, media_type=kind)


class _Guard:
  """Lets requests pass that name this machine and the token.

  A name that other pages resolve to 127.0.0.1 is refused by the header Host.
  """

  def __init__(self, application, token: str):
    self._application, self._token = application, token

  async def __call__(self, scope, receive, send) -> None:
    if scope['type'] == 'http':
      host = dict(scope['headers']).get(b'host', b'').decode('latin-1')
      given = scope['path'].lstrip('/').partition('/')[0].encode()
      is_known = hmac.compare_digest(given, self._token.encode())
      if host.partition(':')[0] not in HOSTS or not is_known:
        response = _error('not found', 404)
        await response(scope, receive, send)
        return
    await self._application(scope, receive, send)


def application(explorer: Explorer, token: str):
  """Returns the ASGI application of a run.

  Args:
    explorer: the run.
    token: first part of all paths.
  """
  routes = [
    routing.Route(
      f'/{token}/{name}', _answering(explorer, function), methods=['POST']
    )
    for name, function in ANSWERS.items()
  ]
  routes += [
    routing.Route(f'/{token}/', _file),
    routing.Route(f'/{token}/{{name}}', _file),
  ]
  return _Guard(applications.Starlette(routes=routes), token)
