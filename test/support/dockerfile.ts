import { cpSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

export interface Instruction {
  name: string;
  /** What follows the name: continued lines joined, comments gone. */
  rest: string;
}

export interface Stage {
  name: string;
  base: string;
  instructions: Instruction[];
}

/** Reads the stages of a Dockerfile: as much of its syntax as ours uses. */
export function stagesOf(file: string): Stage[] {
  const stages: Stage[] = [];
  for (const { name, rest } of instructionsOf(readFileSync(file, 'utf8'))) {
    if (name === 'FROM') {
      const [base = '', , alias = ''] = rest.split(/\s+/);
      stages.push({ name: alias, base, instructions: [] });
    } else {
      const stage = stages.at(-1);
      if (!stage) throw new Error(`${name} stands before the first FROM`);
      stage.instructions.push({ name, rest });
    }
  }
  return stages;
}

function instructionsOf(text: string): Instruction[] {
  return text
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name = '', rest = ''] = line.match(/^(\w+)\s+(.*)$/) ?? [];
      return { name, rest: rest.trim() };
    });
}

/** The environment that an image gives its processes. */
export function environmentOf({ instructions }: Stage): Record<string, string> {
  const pairs = instructions.filter(({ name }) => name === 'ENV').flatMap(({ rest }) => rest.split(/\s+/));
  return Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2) as [string, string]));
}

/** The command line in exec form of the last such instruction, such as `CMD` or `HEALTHCHECK`. */
export function commandOf({ instructions }: Stage, name: string): string[] {
  const rest = instructions.findLast((instruction) => instruction.name === name)?.rest ?? '';
  return JSON.parse(rest.slice(rest.indexOf('['))) as string[];
}

/** The files that `docker build` is sent: those of a folder that .dockerignore lets through. */
export class BuildContext {
  private readonly rules: { pattern: RegExp; keep: boolean }[];

  constructor(private readonly folder: string) {
    this.rules = readFileSync(join(folder, '.dockerignore'), 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => ({ pattern: expressionOf(line.replace(/^!/, '')), keep: line.startsWith('!') }));
  }

  /** The last rule that matches a path, or a folder above it, decides. */
  has(path: string): boolean {
    const parts = path.split('/');
    const ways = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
    const rule = this.rules.findLast(({ pattern }) => ways.some((way) => pattern.test(way)));
    return rule?.keep ?? true;
  }

  /** Copies a file or a folder. @throws Error where the context does not have it */
  copy(source: string, target: string): void {
    const from = join(this.folder, source);
    const files = statSync(from).isDirectory()
      ? readdirSync(from, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => relative(this.folder, join(entry.parentPath, entry.name)))
      : [source];
    const kept = files.filter((file) => this.has(file));
    if (kept.length === 0) throw new Error(`.dockerignore keeps ${source} from the build`);

    for (const file of kept) {
      const to = join(target, relative(source, file));
      mkdirSync(dirname(to), { recursive: true });
      cpSync(join(this.folder, file), to);
    }
  }
}

/** `**` is any number of folders, `*` any part of a name, also at its start where there is a dot. */
function expressionOf(pattern: string): RegExp {
  const parts: Record<string, string> = { '**/': '(?:.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]' };
  const source = pattern.replaceAll(
    /\*\*\/|\*\*|\*|\?|[.+^${}()|[\]\\]/g,
    (part) => parts[part] ?? `\\${part}`,
  );
  return new RegExp(`^${source}$`);
}

export interface BuildOptions {
  context: BuildContext;
  /** Each stage gets a folder in it, which stands for the root of its file system. */
  folder: string;
  /** Runs what stands after RUN, in the stage's working directory. */
  run(command: string, cwd: string, stage: string): Promise<void>;
}

/**
 * Does in folders what a build does in layers: COPY and RUN, stage by stage.
 * @returns the working directory of the last stage
 */
export async function build(stages: Stage[], { context, folder, run }: BuildOptions): Promise<string> {
  let workdir = '';
  for (const stage of stages) {
    const root = join(folder, stage.name || 'final');
    workdir = root;
    for (const { name, rest } of stage.instructions) {
      if (name === 'WORKDIR') mkdirSync((workdir = join(root, rest)), { recursive: true });
      if (name === 'RUN') await run(rest, workdir, stage.name);
      if (name === 'COPY') copy(rest, workdir);
    }
  }
  return workdir;

  function copy(rest: string, into: string): void {
    const [, from, paths = ''] = rest.match(/^(?:--from=(\S+)\s+)?(.*)$/) ?? [];
    const all = paths.split(/\s+/);
    const [target = ''] = all.splice(-1);
    for (const source of all) {
      const to = join(into, target.endsWith('/') ? join(target, basename(source)) : target);
      if (from === undefined) context.copy(source, to);
      else renameSync(join(folder, from, source), to); // no other stage takes it as well, and a copy takes its time
    }
  }
}
