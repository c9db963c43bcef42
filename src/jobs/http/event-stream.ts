import type { Response } from 'express';
import { once } from 'node:events';

/** A comment so often (ms) keeps proxies from ending a silent stream. */
const HEARTBEAT = 15_000;
/** A client that lost the stream comes back after so long (ms). */
const COME_BACK_AFTER = 2_000;

/**
 * Server-sent events (WHATWG HTML, 9.2). What is sent is JSON, in which no line break is left, so that nothing that a job
 * says can be taken for a field of the stream.
 */
export class EventStream {
  readonly #closed = new AbortController();

  constructor(private readonly response: Response) {
    response.on('close', () => this.#closed.abort());
  }

  /** Aborted when the client has gone. */
  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  /** Sends the head at the first event: until then the answer may be another. Waits for a client that reads slowly. */
  async send(event: string, id: number, data: unknown): Promise<void> {
    if (!this.response.headersSent) this.open();
    await this.write(`event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  end(): void {
    if (!this.response.headersSent) this.open();
    this.response.end();
  }

  private open(): void {
    this.response
      .status(200)
      .set({
        'Content-Type': 'text/event-stream; charset=utf-8',
        'Cache-Control': 'no-store',
        'X-Accel-Buffering': 'no',
      })
      .flushHeaders();
    this.response.write(`retry: ${COME_BACK_AFTER}\n\n`);
    const heartbeat = setInterval(() => this.response.write(': still here\n\n'), HEARTBEAT);
    this.response.on('close', () => clearInterval(heartbeat));
  }

  private async write(text: string): Promise<void> {
    if (this.response.write(text) || this.signal.aborted) return;
    await once(this.response, 'drain', { signal: this.signal }).catch(() => undefined);
  }
}
