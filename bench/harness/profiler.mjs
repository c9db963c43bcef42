/**
 * Loaded into a process by `--import`: SIGUSR2 starts a CPU profile, and the next one ends it and writes CPU_PROFILE. So it
 * holds the load alone, and neither the start nor the end of the process.
 */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { isMainThread } from 'node:worker_threads';

const SAMPLING_INTERVAL = 500; // microseconds

if (isMainThread) {
  let session;
  process.on('SIGUSR2', () => {
    if (!session) {
      session = new Session();
      session.connect();
      session.post('Profiler.enable');
      session.post('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL });
      session.post('Profiler.start', () => console.log('profiling'));
      return;
    }
    session.post('Profiler.stop', (error, result) => {
      if (error) throw error;
      writeFileSync(process.env.CPU_PROFILE, JSON.stringify(result.profile));
      console.log('profiled');
    });
  });
}
