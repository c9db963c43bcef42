import { DomainError, RecordUnavailable } from '../jobs/job.errors.js';

/** PostgreSQL's five-character code (SQLSTATE); undefined for an error that is not the server's. */
export function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined;
}

/**
 * The row is to blame, not the server: class 22 (data exception) and 23 (integrity constraint violation), or a value that
 * the driver could not even write down.
 */
export function isDataError(error: unknown): boolean {
  return /^2[23]/.test(sqlStateOf(error) ?? '') || isProgrammingError(error);
}

/** By name: an error may come from another realm. */
function isProgrammingError(error: unknown): boolean {
  return error instanceof Error && /^(Type|Range|Reference|Syntax|Assertion)Error$/.test(error.name);
}

/**
 * The server is gone, going, full, or took too long: another try may succeed. Classes 08 (connection), 40 (rolled back, as
 * after a deadlock), 53 (resources), 57 (operator intervention, time-outs), 25006 (read-only stand-by), and what is
 * neither the server's word nor our fault.
 */
export function isUnavailable(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state === undefined) return !isProgrammingError(error);
  return /^(08|40|53|57)/.test(state) || state === '25006' || isLockTimeout(error);
}

export function isDeadlock(error: unknown): boolean {
  return sqlStateOf(error) === '40P01';
}

/** Whoever loses a deadlock need only ask again: five times at most. */
export async function throughDeadlocks<T>(call: () => Promise<T>, tries = 5): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isDeadlock(error) || tries <= 1) throw error;
    return throughDeadlocks(call, tries - 1);
  }
}

export function isLockTimeout(error: unknown): boolean {
  return sqlStateOf(error) === '55P03';
}

/** An AggregateError (one try per address) has no message of its own. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}

/** Runs a database call; a server that does not answer becomes RecordUnavailable. The domain's refusals pass. */
export function answering<T>(call: () => Promise<T>): Promise<T> {
  return call().catch(tellUnavailable);
}

function tellUnavailable(error: unknown): never {
  if (error instanceof DomainError || !isUnavailable(error)) throw error;
  throw new RecordUnavailable(error);
}
