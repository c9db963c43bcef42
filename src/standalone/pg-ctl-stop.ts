import type { PostgresCluster } from './postgres-cluster.js';

/** Asks the cluster's server to end and waits until it has; false when it outlived the wait, or there was none. */
export async function pgCtlStop(
  { account, binaries, folder }: PostgresCluster,
  mode: 'fast' | 'immediate',
  seconds: number,
): Promise<boolean> {
  const args = ['stop', '--pgdata', folder, '--mode', mode, '--wait', '--timeout', String(seconds)];
  const { code } = await account.run(binaries.pgCtl, args);
  return code === 0;
}
