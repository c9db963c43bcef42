/**
 * Turns the built modules in `dist`, with the packages they need, into the few files of `dist/bundle`. They do the same;
 * Node reads and links them in half the time. `dist/main.js` and its neighbours choose between the two.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'rolldown';

const dist = join(import.meta.dirname, 'dist');
const [bundle, made, former] = ['bundle', 'bundle.made', 'bundle.former'].map((name) => join(dist, name));

const entries = {
  main: 'entries/main.js',
  worker: 'entries/worker.js',
  dashboard: 'entries/dashboard.js',
  standalone: 'entries/standalone.js',
  migrate: 'entries/migrate.js',
  'set-topology': 'entries/set-topology.js',
  // Threads: whoever starts one looks for it in the folder it runs from.
  'heartbeat-thread': 'persistence/heartbeat-thread.js',
  'thread-entry': 'sandbox/thread-entry.js',
};

/** They read files of their own, by where they stand. */
const external = [/^@bull-board\/ui/, /^swagger-ui-dist/, 'msgpackr-extract'];

/** A `require` that Nest makes for itself is not seen, and would load a package for a second time, from its own folder. */
const seenRequires = {
  name: 'seen-requires',
  transform: {
    filter: { id: /\/node_modules\/@nestjs\/.*\.js$/ },
    handler: (code) => code.replace(/^const require = createRequire\(import\.meta\.url\);$/m, ''),
  },
};

await build({
  cwd: dist,
  input: entries,
  external,
  platform: 'node',
  plugins: [seenRequires],
  output: { dir: made, cleanDir: true },
  checks: { eval: false },
  onLog(level, log, report) {
    if (log.code !== 'UNRESOLVED_IMPORT') report(level, log); // packages that others use only where they are installed
  },
});

// At once: another process may be starting from it.
rmSync(former, { recursive: true, force: true });
if (existsSync(bundle)) renameSync(bundle, former);
renameSync(made, bundle);
rmSync(former, { recursive: true, force: true });
