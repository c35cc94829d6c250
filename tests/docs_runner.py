"""Reads the blocks of README.md and docs/, and executes them in one process.

  python tests/docs_runner.py README.md docs/howto.md

runs the blocks of these pages in the current folder, which is a copy made by
`docs_test.py`. Training is shortened to two rounds of tiny networks.
"""

import dataclasses
import functools
import pathlib
import re
import runpy
import shlex
import subprocess
import sys
import time
import traceback

ROOT = next(
  folder
  for folder in pathlib.Path(__file__).resolve().parents
  if (folder / 'pyproject.toml').exists()
)
PAGES = (
  'README.md',
  'CONTRIBUTING.md',
  *sorted(f'docs/{path.name}' for path in (ROOT / 'docs').glob('*.md')),
)
# What a block may need that a test machine lacks: `<!-- needs: gpu, tpu -->`.
NEEDS = {'gpu', 'tpu', 'cluster', 'network', 'video', 'browser'}
EXCERPT = 'gan.py'  # `<!-- gan.py -->` precedes lines of that file.

SHORT_STEPS = 2
_BLOCK = re.compile(
  r'(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$',
  re.DOTALL | re.MULTILINE,
)


@dataclasses.dataclass(frozen=True)
class Block:
  """One fenced block of a page.

  Attributes:
    page: path of the page, from the root of the repository.
    line: line number of the block.
    kind: 'bash', 'python' or ''.
    text: the lines between the fences.
    mark: text of the HTML comment before the block.
  """

  page: str
  line: int
  kind: str
  text: str
  mark: str

  @property
  def name(self) -> str:
    return f'{self.page}:{self.line}'

  @property
  def needs(self) -> set[str]:
    key, _, value = self.mark.partition(': ')
    return set(value.split(', ')) if key == 'needs' else set()

  @property
  def target(self) -> tuple[str, str] | None:
    """Returns the file that the block is, and the table it is a row of."""
    match = re.match(r'# (\S+\.py)(?:, in (\w+))?\n', self.text)
    return (match[1], match[2] or '') if match else None

  @property
  def commands(self) -> list[list[str]]:
    lines = self.text.replace('\\\n', ' ').splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line for line in words if line]


def read_blocks(page: str, root: pathlib.Path = ROOT) -> list[Block]:
  text = (root / page).read_text()
  return [
    Block(
      page,
      text.count('\n', 0, match.start('text')),
      match['kind'],
      match['text'],
      match['mark'] or '',
    )
    for match in _BLOCK.finditer(text)
  ]


def write(block: Block, root: pathlib.Path) -> None:
  """Writes a block that is a file, or a row of a table in a file."""
  name, table = block.target
  body = block.text.partition('\n')[2]
  path = root / name
  if table:
    before, line, after = path.read_text().partition(f'{table} = {{\n')
    assert line, f'{name} has no {table}'
    body = before + line + body + after
  path.write_text(body)


def load_config(path: str, root: pathlib.Path = ROOT):
  """Returns the config of the flag `--config=path`."""
  file, _, variant = path.partition(':')
  blocks = read_blocks('docs/howto.md')
  texts = {b.target[0]: b.text for b in blocks if b.target}
  code = texts.get(file) or (root / file).read_text()
  names = {'__name__': 'config'}
  exec(compile(code, file, 'exec'), names)
  return names['get_config'](variant)


def _shrink(words: list[str]) -> list[str]:
  """Sets fields of a training command so that it takes seconds."""
  from jaxgan import config as config_lib

  given = dict(word.split('=', 1) for word in words if '=' in word)
  fields = config_lib.flatten(load_config(given['--config']))
  is_resumed = '--config.num_steps' in given
  values = {
    'batch_size': 8,
    'num_steps': SHORT_STEPS + is_resumed,
    **{
      name: (8,) * len(value)
      for name, value in fields.items()
      if name.endswith('widths')
      and f'--config.{name}' not in given
      and 'from_pictures' not in fields  # strides follow from pictures
    },
    **{
      name: 1
      for name, value in fields.items()
      if name.endswith(('.blocks', '.depth', '.outputs'))
      and isinstance(value, int)
    },
  }
  if '--config.eval_images' in given:
    values['eval_scores'] = ('classes',)
  replaced = {
    'seeds': 4,
    'eval_every': SHORT_STEPS,
    'eval_images': 50,
    'profile_steps': f'0,{SHORT_STEPS}',
  }
  values |= {
    name: value
    for name, value in replaced.items()
    if f'--config.{name}' in given
  }
  flags = {f'--config.{name}': value for name, value in values.items()}
  kept = [word for word in words if word.split('=')[0] not in flags]
  return [*kept, *(f'{name}={value}' for name, value in flags.items())]


def shortened(words: list[str]) -> list[str]:
  """Adds flags to a command of `jaxgan.main` that make it short."""
  modes = [w.partition('=')[2] for w in words if w.startswith('--mode=')]
  mode = modes[-1] if modes else 'train'
  if mode == 'train':
    return _shrink(words)
  if mode == 'evaluate':
    is_random = {'--features=random', '--images'} & {
      word if word.startswith('--features') else word.split('=')[0]
      for word in words
    }
    score = 'kernel' if is_random else 'classes'
    return [*words, '--num=100', f'--scores={score}']
  if mode in ('complete', 'invert'):
    is_of_latents = not any(word.startswith('--space=w') for word in words)
    restarts = ['--restarts=1'] * is_of_latents
    return [*words, '--num=4', '--iterations=2', *restarts]
  if mode == 'sample' and '--num=1000' in words:
    return [*words, '--num=16']
  if '--format=gif' in words:
    return [*words, '--frames_per_second=2']
  return words


def _call_main(words: list[str]) -> None:
  """Calls `python -m jaxgan.main` in this process."""
  import logging

  from absl import app, flags

  app.define_help_flags()  # Calls after the first would not define them.
  before = set(flags.FLAGS)
  argv, sys.argv = sys.argv, ['jaxgan.main', *words]
  try:
    runpy.run_module('jaxgan.main', run_name='__main__', alter_sys=False)
    code = 0
  except SystemExit as end:
    code = end.code or 0
  finally:
    sys.argv = argv
    for name in set(flags.FLAGS) - before:
      delattr(flags.FLAGS, name)
    logging.getLogger('jaxgan').handlers.clear()
  assert code == 0, f'exit code {code}: {shlex.join(words)}'


def _call(words: list[str]) -> str:
  """Runs a command in a process of its own and returns its output."""
  done = subprocess.run(
    ['bash', '-c', 'eval "$0"', ' '.join(map(_quoted, words))],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, f'{shlex.join(words)}\n{done.stderr[-3000:]}'
  assert done.stdout, f'no output: {shlex.join(words)}'
  return done.stdout


def _quoted(word: str) -> str:
  """Quotes a word, but leaves VARIABLE=VALUE an assignment."""
  match = re.match(r'[A-Z_]+=', word)
  return (
    match[0] + shlex.quote(word[match.end() :])
    if match
    else (shlex.quote(word))
  )


def run_command(words: list[str]) -> None:
  if words[:3] == ['python', '-m', 'jaxgan.main']:
    _call_main(shortened(words[3:]))
  elif words[0] in ('./launch/local.sh', './launch/test.sh'):
    (line,) = _call([*words, '--dry-run']).splitlines()
    *_, module = line.partition(' -m ')
    module, *flags = shlex.split(module)
    if module == 'jaxgan.main' and '--dry-run' not in words:
      _call_main(shortened(flags))
  elif 'jaxgan.main' in words:
    start = words.index('jaxgan.main') + 1
    _call([*words[:start], *shortened(words[start:])])
  else:
    _call(words)


def run_page(page: str, done: set[str]) -> int:
  """Runs the blocks of a page in order and returns the number of failures.

  Args:
    page: path of the page.
    done: commands to skip, because they have run; grows.
  """
  failures = 0
  for block in read_blocks(page):
    start = time.monotonic()
    if block.needs or block.target or block.mark == EXCERPT:
      continue
    calls = []
    if block.kind == 'bash':
      for words in block.commands:
        text = shlex.join(words)
        if text not in done:
          done.add(text)
          calls.append((text, functools.partial(run_command, words)))
    elif block.kind == 'python':
      code = compile(block.text, block.name, 'exec')
      calls.append(('python', functools.partial(exec, code, {})))
    for text, call in calls:
      try:
        call()
      except Exception:
        failures += 1
        print(f'FAILED {block.name}: {text}\n{traceback.format_exc()}')
    print(f'RAN {block.name} {time.monotonic() - start:.1f} s', flush=True)
  return failures


def main(arguments: list[str]) -> int:
  import jaxgan

  assert pathlib.Path(jaxgan.__file__).parents[1] == pathlib.Path.cwd()
  # The classifier that scores take features from is trained for a moment.
  classifier = jaxgan.presets.classifier

  def brief():
    config = classifier()
    config.num_steps = 20
    return config

  jaxgan.presets.classifier = brief
  done = set()
  return sum(run_page(page, done) for page in arguments)


if __name__ == '__main__':
  sys.exit(min(main(sys.argv[1:]), 1))
