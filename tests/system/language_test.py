"""Checks the language of docstrings, comments, error messages and pages."""

import ast
import inspect
import io
import pathlib
import re
import tokenize
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PATTERNS = (
  *('jaxgan/**/*.py', 'configs/**/*.py', 'benchmarks/**/*.py'),
  *('launch/*.py', 'README.md', 'docs/*.md', 'benchmarks/*.md'),
)
MOST_WORDS = 28
# A docstring starts with a verb in the third person or with a noun.
RIDDLES = {
  *('as', 'else', 'how', 'if', 'it', 'likewise', 'of', 'that', 'these'),
  *('they', 'those', 'what', 'when', 'where', 'whether', 'which', 'who'),
  *('whose', 'why'),
}
# The description of an argument may start with 'whether', 'if' or 'when'.
ITEM_RIDDLES = {
  *('as', 'how', 'likewise', 'of', 'that', 'those', 'what', 'which', 'whose'),
}
SECTIONS = ('Args', 'Attributes', 'Raises', 'Returns', 'Yields')
# pattern -> replacement
PHRASES = {
  r'in the place of': 'instead of',
  r'can not(?! only\b)': 'cannot',
  r'(?:go|goes|going|gone|went) on(?! (?:the|a|an|each|every|top)\b)': 'resume',
  r'begun': 'started',
  r'wherever': 'where',
  r'else than': 'other than',
  r'by (?:itself|themselves)': 'automatically or alone',
  r'(?<=, )for one(?=[,;:.)])': 'for example',
  r'mend(?:s|ed|ing)?': 'fix',
  r'(?:by|for|from|in|of|to|with) what (?:is|are|was|were)': 'the noun',
  r'(?:and|or) the like': 'the names',
  r'anew': 'again',
  r'likewise': 'the full sentence',
}


class Text(NamedTuple):
  """One paragraph, argument, comment, message or table cell."""

  line: int
  kind: str  # 'docstring' for its first paragraph, 'item', or 'text'
  text: str


def plain(text: str) -> str:
  """Removes code, addresses, shapes and numbers, and joins the lines."""
  text = re.sub(r'``?[^`]*``?', ' ', text)
  text = re.sub(r'!?\[([^\]]*)\]\([^)]*\)', r'\1', text)  # links of Markdown
  text = re.sub(r'<?https?://[^\s)>]*', ' ', text)
  text = re.sub(r'\[[^\]]*\]', ' ', text)
  text = re.sub(r'(?<!\w)--?[a-z_.]+(?:=\S+)?|\S+[=/_]\S*', ' ', text)
  return ' '.join(text.split())


def sentences(text: str) -> list[str]:
  text = plain(text)
  text = re.sub(r'\b(e\.g|i\.e|al|cf|vs|eq|fig|sec)\.', r'\1', text)
  parts = re.split(r'(?<=[.!?])["\')*]*\s+|(?<=[.!?])["\')*]*$', text)
  return [part for part in parts if part]


def offences(text: Text) -> list[str]:
  """Returns one line for each rule that the text breaks."""
  messages = []
  first = re.match(r"[A-Za-z']+", text.text.lstrip())
  riddles = {'docstring': RIDDLES, 'item': ITEM_RIDDLES}.get(text.kind, ())
  if first and first[0].lower() in riddles:
    messages.append(f'starts with {first[0]!r}: use a verb or a noun')
  for sentence in sentences(text.text):
    count = len(re.findall(r"[A-Za-z][A-Za-z'-]*", sentence))
    if count > MOST_WORDS:
      messages.append(
        f'{count} words, at most {MOST_WORDS}: {sentence[:60]!r}...'
      )
  for pattern, better in PHRASES.items():
    pattern = rf'\b(?:{pattern})(?!\w)'
    if match := re.search(pattern, plain(text.text), re.IGNORECASE):
      messages.append(f'{match[0]!r}: write {better}')
  return [f'{text.line}: {message}' for message in messages]


def of_docstring(docstring: str, line: int) -> list[Text]:
  """Splits a docstring into paragraphs and the items of its sections."""
  texts = []
  section, code = '', False
  lines = inspect.cleandoc(docstring).split('\n')
  for offset, row in enumerate(lines):
    indent = len(row) - len(row.lstrip())
    starts = offset == 0 or not lines[offset - 1].strip()
    if row.rstrip(':') in SECTIONS and row.endswith(':'):
      section = row.rstrip(':')
      continue
    if not row.strip():
      continue
    if indent == 0:
      section, code = '', False
    elif not section:
      code = code or starts  # An example or a formula.
      if code:
        continue
    item = re.match(r'  [*\w`]+(?: \([^)]*\))?: ', row) if section else None
    if item or (section and lines[offset - 1].rstrip(':') in SECTIONS):
      body = row[item.end() :] if item else row
      texts.append(Text(line + offset, 'item', body))
    elif starts or not texts:
      kind = 'text' if offset else 'docstring'
      texts.append(Text(line + offset, kind, row))
    else:
      texts[-1] = texts[-1]._replace(text=f'{texts[-1].text}\n{row}')
  return texts


def of_comments(source: str) -> list[Text]:
  """Joins comments on consecutive lines."""
  texts, last = [], (-1, -1)
  for token in tokenize.generate_tokens(io.StringIO(source).readline):
    if token.type != tokenize.COMMENT or token.string.startswith('#!'):
      continue
    row, column = token.start
    body = token.string.lstrip('# ')
    if last == (row - 1, column):
      texts[-1] = texts[-1]._replace(text=f'{texts[-1].text}\n{body}')
    else:
      texts.append(Text(row, 'text', body))
    last = row, column
  return texts


def strings(node: ast.AST) -> list[str]:
  if isinstance(node, ast.JoinedStr):
    return [''.join(s for part in node.values for s in strings(part))]
  if isinstance(node, ast.FormattedValue):
    return ['`value`']
  if isinstance(node, ast.Constant):
    return [node.value] if isinstance(node.value, str) else []
  return [s for child in ast.iter_child_nodes(node) for s in strings(child)]


def of_messages(tree: ast.AST) -> list[Text]:
  """Returns the strings in the arguments of errors and of `sys.exit`."""
  texts = []
  for node in ast.walk(tree):
    if isinstance(node, ast.Call):
      name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
      if re.search(r'(?:Error|NotFinite|Stopped|exit)$', name):
        parts = [s for argument in node.args for s in strings(argument)]
        texts += [Text(node.lineno, 'text', part) for part in parts]
  return texts


def of_python(source: str) -> list[Text]:
  tree = ast.parse(source)
  texts = of_comments(source) + of_messages(tree)
  owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
  for node in ast.walk(tree):
    if isinstance(node, owners) and (
      docstring := ast.get_docstring(node, clean=False)
    ):
      texts += of_docstring(docstring, node.body[0].lineno)
  return texts


def of_markdown(source: str) -> list[Text]:
  """Splits a page into paragraphs, list items, headings and table cells."""
  texts, fenced, open_paragraph = [], False, False
  for row, line in enumerate(source.split('\n'), 1):
    body = line.strip()
    if body.startswith('```'):
      fenced, open_paragraph = not fenced, False
    elif fenced or not body:
      open_paragraph = False
    elif body.startswith('|'):
      texts += [Text(row, 'text', cell) for cell in body.split('|')]
      open_paragraph = False
    elif open_paragraph and not re.match(r'[*+-] |\d+\. |#', body):
      texts[-1] = texts[-1]._replace(text=f'{texts[-1].text}\n{body}')
    else:
      texts.append(Text(row, 'text', body))
      open_paragraph = not body.startswith('#')
  return texts


def files() -> list[str]:
  paths = {path for pattern in PATTERNS for path in ROOT.glob(pattern)}
  return sorted(str(path.relative_to(ROOT)) for path in paths)


@pytest.mark.parametrize('path', files())
def test_language_of_file(path):
  source = (ROOT / path).read_text()
  split = of_python if path.endswith('.py') else of_markdown
  lines = [line for text in sorted(split(source)) for line in offences(text)]
  assert not lines, f'{path}\n' + '\n'.join(lines)


@pytest.mark.parametrize('word', sorted(RIDDLES))
def test_first_word_of_docstring_is_refused(word):
  source = f'def f():\n  """{word.title()} is drawn."""\n'
  (text,) = of_python(source)
  message, *_ = offences(text)
  assert message.startswith(f"2: starts with '{word.title()}'")


def test_first_word_of_docstring_is_accepted():
  for start in ('Returns', 'Images', 'Asks', 'Items', 'Off'):
    (text,) = of_docstring(f'{start} that are drawn, as in the paper.', 1)
    assert not offences(text)


def test_first_word_of_argument_is_refused():
  source = 'Adds.\n\nArgs:\n  x: of a run,\n    with steps.\n  y: a number.\n'
  texts = of_docstring(source, 1)
  assert [text.kind for text in texts] == ['docstring', 'item', 'item']
  assert [len(offences(text)) for text in texts] == [0, 1, 0]


@pytest.mark.parametrize(
  'make',
  [
    lambda text: of_docstring(f'Adds.\n\n{text}', 1),
    lambda text: of_docstring(f'Adds.\n\nReturns:\n  {text}', 1),
    lambda text: of_comments('# ' + text.replace(' ', '\n# ', 20)),
    lambda text: of_python(f'raise ValueError(f"x={{x}} {text}")'),
    lambda text: of_markdown(f'# Title\n\n* {text}'),
    lambda text: of_markdown(f'| a | {text} |'),
  ],
  ids=['paragraph', 'item', 'comment', 'error', 'list', 'table'],
)
def test_sentence_length_is_bounded(make):
  def count(text):
    return sum(len(offences(part)) for part in make(text))

  right = 'word ' * MOST_WORDS
  assert count(f'{right.strip()}. {right.strip()}.') == 0
  assert count(f'{right.strip()} more.') == 1
  assert count(f'{right}`some code` https://a.b/c [N, D] x=1.') == 0


def test_code_is_not_checked():
  code = 'wherever ' * (MOST_WORDS + 1)
  assert not of_markdown(f'```\n{code}\n```')
  texts = of_docstring(f'Adds.\n\n  {code}\n  {code}\n\nEnds.', 1)
  assert [text.text for text in texts] == ['Adds.', 'Ends.']


@pytest.mark.parametrize(
  ('refused', 'accepted'),
  [
    ('noise in the place of images', 'noise in place of images'),
    ('they can not be read', 'they can not only be read but cannot hang'),
    ('it goes on with step 3', 'the batch goes on the device'),
    ('a run that was begun', 'a run that has started to begin'),
    ('wherever it is', 'where it is'),
    ('everything else than NaN', 'a value other than NaN, or else none'),
    ('it ends by itself', 'it ends, and the state itself is kept'),
    ('of metrics, for one.', 'memory for one image, for one step'),
    ('mended by hand', 'a recommended amendment'),
    ('a copy of what is drawn', 'the error says what is wrong'),
    ('its path and the like', 'images, like the sources'),
    ('drawn anew', 'drawn again in a new order'),
    ('fakes likewise', 'fakes are like reals'),
  ],
)
def test_phrase_is_refused(refused, accepted):
  assert len(offences(Text(1, 'text', refused))) == 1
  assert not offences(Text(1, 'text', accepted))
