import { Logger } from '@nestjs/common';

/** Errors that follow each other within this time belong to one outage. */
const QUIET = 30_000;

/** Says once that the queue does not answer, and once that it answers again, however often clients retry in between. */
export class OutageLog {
  private readonly logger = new Logger('Queue');
  private open = false;
  private lastFailure = -Infinity;

  failed(error: unknown): void {
    const known = this.open && Date.now() - this.lastFailure < QUIET;
    this.lastFailure = Date.now();
    if (known) return;

    this.open = true;
    this.logger.warn(`The queue does not answer, retrying: ${reasonOf(error)}`);
  }

  answered(): void {
    if (!this.open) return;
    this.open = false;
    this.logger.log('The queue answers again');
  }
}

/** A refused connection is an AggregateError without a message where a host has several addresses. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner = error instanceof AggregateError ? error.errors.map(reasonOf).join(', ') : '';
  return error.message || inner || error.name;
}
