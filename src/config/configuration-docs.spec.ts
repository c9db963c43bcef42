import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { variables } from './environment.js';

const [example = '', forCompose = ''] = readFileSync('.env.example', 'utf8').split(
  '\n# For docker-compose.yml alone.\n',
);
const page = readFileSync('docs/configuration.md', 'utf8');

it('.env.example lists every variable with its default and meaning, in order', () => {
  const expected = variables.map(({ name, default: byDefault, doc }) => `# ${doc}\n#${name}=${byDefault}\n`);

  expect(example).toBe(expected.join('\n'));
});

it('.env.example changes nothing when it is copied', () => {
  expect(parseEnv(example)).toEqual({});
});

it('.env.example has what docker-compose.yml cannot do without', () => {
  const needed = readFileSync('docker-compose.yml', 'utf8').matchAll(/\$\{(\w+):\?/g);

  expect(Object.keys(parseEnv(forCompose))).toEqual([...new Set([...needed].map(([, name]) => name))]);
});

it('docs/configuration.md has a row for every variable with its default and meaning, in order', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  const cells = rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

  expect(cells).toEqual(
    variables.map(({ name, default: byDefault, doc }) => [
      `\`${name}\``,
      byDefault && `\`${byDefault}\``,
      doc,
    ]),
  );
});

it('docs/configuration.md speaks of no variable that is not read', () => {
  const mentioned = page.match(/\b[A-Z]+_[A-Z_]+\b/g) ?? [];
  const read = ['NO_COLOR', ...variables.map(({ name }) => name)];

  expect(mentioned.filter((name) => !read.includes(name))).toEqual([]);
});
