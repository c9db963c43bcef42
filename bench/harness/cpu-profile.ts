import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url).href;

/** What V8's profiler writes: a tree of calls, and which of its nodes ran at each sample. */
export interface CpuProfile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
    children?: number[];
  }[];
  samples: number[];
  /** Microseconds before each sample. */
  timeDeltas: number[];
}

/** A share of the time in which the process was not idle, 0 to 1. */
export interface Share {
  name: string;
  share: number;
}

export interface ProfileSummary {
  /** Of the time in which the profile was taken, the part that was not idle. */
  busy: number;
  /** Where the code was that ran, by package. */
  byModule: Share[];
  /** Each function by itself. */
  bySelf: Share[];
  /** Each of the platform's functions with all that it calls before it first waits. */
  byTotal: Share[];
}

export function summaryOf(profile: CpuProfile): ProfileSummary {
  const self = selfTimes(profile);
  const idle = sum(
    profile.nodes.map((node) => (node.callFrame.functionName === '(idle)' ? timeOf(node, self) : 0)),
  );
  const all = sum([...self.values()]);
  const busy = all - idle;
  const nodes = profile.nodes.filter(
    ({ callFrame }) => !['(idle)', '(root)'].includes(callFrame.functionName),
  );
  const shares = (times: Map<string, number>): Share[] =>
    [...times].map(([name, time]) => ({ name, share: time / busy })).sort((a, b) => b.share - a.share);

  return {
    busy: busy / all,
    byModule: shares(added(nodes, moduleOf, (node) => timeOf(node, self))),
    bySelf: shares(added(nodes, functionOf, (node) => timeOf(node, self))),
    byTotal: shares(totals(profile, self)),
  };
}

type Node = CpuProfile['nodes'][number];

function selfTimes({ samples, timeDeltas }: CpuProfile): Map<number, number> {
  const self = new Map<number, number>();
  samples.forEach((id, index) => self.set(id, (self.get(id) ?? 0) + (timeDeltas[index + 1] ?? 0)));
  return self;
}

function timeOf({ id }: Node, self: Map<number, number>): number {
  return self.get(id) ?? 0;
}

function added(
  nodes: Node[],
  keyOf: (node: Node) => string,
  time: (node: Node) => number,
): Map<string, number> {
  const times = new Map<string, number>();
  for (const node of nodes) times.set(keyOf(node), (times.get(keyOf(node)) ?? 0) + time(node));
  return times;
}

/** A function that calls itself is counted once, at its outermost call. */
function totals({ nodes }: CpuProfile, self: Map<number, number>): Map<string, number> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const times = new Map<string, number>();
  const walk = (node: Node, above: ReadonlySet<string>): number => {
    const name = functionOf(node);
    const inside = new Set([...above, name]);
    const children = (node.children ?? []).flatMap((id) => byId.get(id) ?? []);
    const total = timeOf(node, self) + sum(children.map((child) => walk(child, inside)));
    const ours = node.callFrame.url.startsWith(`${root}dist/`);
    if (ours && !above.has(name)) times.set(name, (times.get(name) ?? 0) + total);
    return total;
  };
  const [top] = nodes;
  if (top) walk(top, new Set());
  return times;
}

function moduleOf({ callFrame: { url, functionName } }: Node): string {
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (functionName === '(program)') return 'native code outside of JavaScript';
  if (url.startsWith('node:'))
    return `Node: ${
      url
        .slice(5)
        .replace(/^internal\//, '')
        .split('/')[0] ?? ''
    }`;
  if (url === '') return `built-in: ${functionName || 'anonymous'}`;
  const [, name] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  if (name) return name;
  return url.startsWith(root) ? (/^dist\/[^/]+/.exec(url.slice(root.length))?.[0] ?? 'bench') : url;
}

function functionOf({ callFrame: { url, functionName, lineNumber } }: Node): string {
  const name = functionName || '(anonymous)';
  if (url === '') return name;
  const path = url.startsWith('file:') ? fileURLToPath(url).slice(fileURLToPath(root).length) : url;
  return `${name} ${path.replace(/^.*node_modules\//, '')}:${lineNumber + 1}`;
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
