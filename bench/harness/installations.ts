import type { AppProcess } from '../../test/support/processes.js';
import type { Bench, Served } from './bench.js';

/** An API and workers that do the same for their clients, whoever wrote them. */
export interface Installation {
  name: string;
  /** No row, no job, no process. */
  startOver(bench: Bench): Promise<void>;
  serve(bench: Bench): Promise<Served>;
  /** @param concurrency jobs at once */
  work(bench: Bench, concurrency: number): Promise<AppProcess>;
}

export const PLATFORM: Installation = {
  name: 'platform',
  startOver: (bench) => bench.startOver(),
  serve: (bench) => bench.servePlatform(),
  work: (bench, concurrency) => bench.startWorker({ WORKER_CONCURRENCY: String(concurrency) }),
};

export const HAND_WRITTEN: Installation = {
  name: 'hand-written',
  startOver: (bench) => bench.startEmpty(),
  serve: (bench) => bench.serve('hand-written-api.mjs'),
  work: async (bench, concurrency) => {
    const env = { CONCURRENCY: String(concurrency) };
    const worker = bench.script('contestants/hand-written-worker.mjs', [], env);
    await worker.ready(/^ready$/m);
    return worker;
  },
};
