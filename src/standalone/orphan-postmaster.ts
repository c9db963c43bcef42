import { readFileSync, realpathSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errorCode } from './error-code.js';
import { pgCtlStop } from './pg-ctl-stop.js';
import type { PostgresCluster } from './postgres-cluster.js';
import { commandLine, isAlive, workingFolder } from './process-identity.js';
import { StandaloneError } from './standalone-error.js';

/**
 * Ends the server that a killed platform process left on this cluster, and clears away a pid file that points to
 * some other program by now. Call it only while holding the lock of the data folder.
 */
export async function stopOrphan(cluster: PostgresCluster, log: (line: string) => void): Promise<void> {
  const pidFile = join(cluster.folder, 'postmaster.pid');
  const pid = pidIn(pidFile);
  if (pid === undefined || !isRunning(pid)) return;

  if (!servesCluster(pid, cluster.folder)) {
    rmSync(pidFile, { force: true });
    log(`stale postmaster.pid removed (pid ${pid} is not this server)`);
    return;
  }
  const gone = async (mode: 'fast' | 'immediate') => (await pgCtlStop(cluster, mode, 10)) || !isAlive(pid);
  if (!(await gone('fast')) && !(await gone('immediate'))) {
    throw new StandaloneError(`a PostgreSQL left from an earlier start does not stop: kill pid ${pid}`);
  }
  log(`PostgreSQL left from an earlier start stopped (pid ${pid})`);
}

function pidIn(pidFile: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
    return pid > 0 ? pid : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** PostgreSQL itself looks at no more than the pid, so even a zombie would keep it from starting. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

function servesCluster(pid: number, folder: string): boolean {
  if (!isAlive(pid)) return false;

  const command = commandLine(pid);
  // Where nothing can be learnt the pid file is believed, as PostgreSQL does.
  if (command === undefined) return true;
  if (!/^postgres(\.exe)?$/.test(basename(command.split(' -D ')[0] ?? ''))) return false;
  // A folder that was moved under a running server still has it standing inside.
  return command.includes(` -D ${folder} `) || workingFolder(pid) === realpathSync(folder);
}
