import { errorCode } from '../standalone/error-code.js';
import { bind } from '../standalone/free-port.js';
import { StandaloneError } from '../standalone/standalone-error.js';

const NEIGHBOURS_TRIED = 100;

/** Resolves when the platform can listen on the port. Errors: StandaloneError that names a port to use instead. */
export async function assertPortFree(host: string, port: number): Promise<void> {
  const refusal = await refusalOf(host, port);
  if (refusal === undefined) return;

  if (refusal === 'EADDRINUSE') {
    const instead = await nextFree(host, port + 1);
    throw new StandaloneError(`Port ${port} is taken: try PORT=${instead} npm start`);
  }
  if (refusal === 'EACCES') {
    const instead = await nextFree(host, 3000);
    throw new StandaloneError(`Port ${port} needs more rights: try PORT=${instead} npm start`);
  }
  throw new StandaloneError(`Cannot listen on ${host}:${port} (${refusal}): set another host or port`);
}

async function nextFree(host: string, from: number): Promise<number> {
  const last = Math.min(from + NEIGHBOURS_TRIED, 65_535);
  for (let port = from; port <= last; port++) {
    if ((await refusalOf(host, port)) === undefined) return port;
  }
  return bind(host, 0);
}

async function refusalOf(host: string, port: number): Promise<string | undefined> {
  try {
    await bind(host, port);
    return undefined;
  } catch (error) {
    return errorCode(error) ?? String(error);
  }
}
