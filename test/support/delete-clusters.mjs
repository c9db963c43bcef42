import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Jest's global teardown: deletes what the clusters of test/support/migrated-postgres.ts are copies of. */
export default function deleteClusters() {
  for (const folder of [tmpdir(), '/tmp'])
    rmSync(join(folder, `jobs-clusters-${process.env.TEST_RUN}`), { recursive: true, force: true });
}
