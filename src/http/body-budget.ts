import type { IncomingMessage } from 'node:http';

/** A request takes up about so much beside its body. */
const LEAST = 16 * 1_024;

/**
 * Bytes that bodies of requests under way take up in this process. A body counts by the length that its request declares
 * (by the limit of a single one where it declares none, or is compressed), from its head to the end of its answer.
 */
export class BodyBudget {
  #bytes = 0;

  /** @param limit of all together @param bodyLimit of a single one */
  constructor(
    private readonly limit: number,
    private readonly bodyLimit: number,
  ) {}

  get bytes(): number {
    return this.#bytes;
  }

  /** Alone, a request may be as large as a body may be. @returns what gives it back, once; undefined: there is no room */
  take(request: IncomingMessage): (() => void) | undefined {
    const bytes = this.costOf(request);
    if (this.#bytes > 0 && this.#bytes + bytes > this.limit) return undefined;

    this.#bytes += bytes;
    let held = bytes;
    return () => {
      this.#bytes -= held;
      held = 0;
    };
  }

  private costOf({ headers }: IncomingMessage): number {
    const encoded = (headers['content-encoding'] ?? 'identity') !== 'identity';
    const declared = encoded ? this.bodyLimit : Number(headers['content-length'] ?? this.bodyLimit);
    return Math.max(LEAST, Math.min(declared, this.bodyLimit));
  }
}
