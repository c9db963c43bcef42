import { parentPort, workerData } from 'node:worker_threads';
import { ThreadHandlers } from './thread-handlers.js';
import { ThreadRun } from './thread-run.js';
import type { FromThread, ThreadData, ToThread } from './thread-messages.js';

/** A thread of the sandbox: makes the handlers, then runs one attempt after the other. */
const port = parentPort;
if (!port) throw new Error('thread-entry.js is started as a thread only');
const tell = (message: FromThread): void => port.postMessage(message);

try {
  const handlers = await ThreadHandlers.start(workerData as ThreadData);
  let current: ThreadRun | undefined;
  port.on('message', (message: ToThread) => {
    if (message.kind === 'run') {
      current = new ThreadRun(message, tell);
      void current.execute(handlers);
    } else if (message.kind === 'abort') {
      current?.abort(message.run);
    } else {
      void handlers.close().finally(() => process.exit(0));
    }
  });
  tell({ kind: 'ready' });
} catch (error) {
  tell({ kind: 'unusable', reason: error instanceof Error ? error.message : String(error) });
  port.close();
}
