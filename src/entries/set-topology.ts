import { loadExtensions } from '../boot/load-extensions.js';
import { run } from '../boot/run.js';
import { setTopology, wantedTopology } from '../boot/set-topology.js';
import { parseConfig } from '../config/parse-config.js';
import { processEnvironment } from '../config/process-environment.js';
import { platformOf } from '../platform.js';

/** Changes the number of shards, the backend or the prefix of an installation that is stopped, then ends. */
await run(async () => {
  const wanted = wantedTopology(process.argv.slice(2));
  const config = parseConfig(processEnvironment(), 'set-topology');
  const platform = platformOf(config, await loadExtensions(config));
  process.stdout.write(`${await setTopology(platform, wanted)}\n`);
});
