import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterThisFile } from '../../support/child.js';

type Direction = 'request' | 'answer';

interface Pair {
  client: Socket;
  server: Socket;
}

/** A network that fails: stands before PostgreSQL or Redis, and passes bytes on as long as it is not told otherwise. */
export class FaultProxy {
  readonly #pairs = new Set<Pair>();
  readonly #listener: Server;
  readonly #stopped = new Set<Direction>();
  #latency = 0;
  #refusing = false;
  readonly #forget = afterThisFile(() => this.stop());

  private constructor(private readonly target: URL) {
    this.#listener = createServer({ noDelay: true }, (client) => this.accept(client));
  }

  /** @param target a URL with a host and a port; its place is taken in `url` */
  static async start(target: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(new URL(target));
    await new Promise<void>((resolve) => proxy.#listener.listen(0, '127.0.0.1', () => resolve()));
    return proxy;
  }

  /** The target's URL, through this proxy. */
  get url(): string {
    const url = new URL(this.target.href);
    url.host = `127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
    return url.href;
  }

  /** ms that each piece takes longer, either way. */
  delay(ms: number): void {
    this.#latency = ms;
  }

  /** Half open: one side's bytes are not read any more, and connections stay. */
  stopReading(direction: Direction): void {
    this.#stopped.add(direction);
    for (const pair of this.#pairs) this.apply(pair);
  }

  /** Black hole: connections are accepted and stay, and nothing passes. */
  swallow(): void {
    this.stopReading('request');
    this.stopReading('answer');
  }

  /** Ends every connection by a reset; new ones are let through. */
  reset(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  /** New connections are reset. */
  refuse(): void {
    this.#refusing = true;
    this.reset();
  }

  /** All is well again; what was held up passes. */
  heal(): void {
    this.#latency = 0;
    this.#refusing = false;
    this.#stopped.clear();
    for (const pair of this.#pairs) this.apply(pair);
  }

  async stop(): Promise<void> {
    this.reset();
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    this.#forget();
  }

  private accept(client: Socket): void {
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ host: this.target.hostname, port: Number(this.target.port), noDelay: true });
    const pair = { client, server };
    this.#pairs.add(pair);
    this.pipe(client, server);
    this.pipe(server, client);
    this.apply(pair);
  }

  private pipe(from: Socket, to: Socket): void {
    from.on('data', (piece) => {
      if (this.#latency === 0) to.write(piece);
      else setTimeout(() => to.write(piece), this.#latency); // equal delays keep the order
    });
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
    from.on('close', () => {
      to.destroy();
      for (const pair of this.#pairs)
        if (pair.client === from || pair.server === from) this.#pairs.delete(pair);
    });
  }

  private apply({ client, server }: Pair): void {
    if (this.#stopped.has('request')) client.pause();
    else client.resume();
    if (this.#stopped.has('answer')) server.pause();
    else server.resume();
  }
}
