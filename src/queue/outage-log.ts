import { Logger } from '@nestjs/common';

/** Errors that follow each other within this time belong to one outage. */
const QUIET = 30_000;

/**
 * Says once that the queue does not answer, and once that it answers again, however often clients retry in between: for
 * each of its servers, whose name is empty where there is but one.
 */
export class OutageLog {
  private readonly logger = new Logger('Queue');
  private readonly lastFailures = new Map<string, number>();

  failed(error: unknown, server = ''): void {
    const last = this.lastFailures.get(server) ?? -Infinity;
    this.lastFailures.set(server, Date.now());
    if (Date.now() - last < QUIET) return;

    this.logger.warn(`The queue does not answer${at(server)}, retrying: ${reasonOf(error)}`);
  }

  answered(server = ''): void {
    if (this.lastFailures.delete(server)) this.logger.log(`The queue answers again${at(server)}`);
  }
}

function at(server: string): string {
  return server && ` at ${server}`;
}

/** A refused connection is an AggregateError without a message where a host has several addresses. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner = error instanceof AggregateError ? error.errors.map(reasonOf).join(', ') : '';
  return error.message || inner || error.name;
}
