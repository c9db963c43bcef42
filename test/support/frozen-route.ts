import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { afterThisFile } from './child.js';

/** A route to a local server that can go dead: bytes vanish, nothing is refused, nothing closed. */
export interface FrozenRoute {
  /** The same URL, by this route. */
  urlTo(url: string): string;
  freeze(): void;
  /** Lets new connections through; those that were frozen stay dead, as behind a firewall that forgot them. */
  thaw(): void;
}

export async function routeTo(target: string): Promise<FrozenRoute> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let frozen = false;

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => {
        if (!dead.has(from) && !frozen) to.write(bytes);
      });
      from.on('close', () => to.destroy());
      from.on('error', () => undefined);
    }
  });
  const dead = new WeakSet<Socket>();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const own = (server.address() as AddressInfo).port;
  afterThisFile(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  return {
    urlTo(url) {
      const routed = new URL(url);
      routed.port = String(own);
      return routed.href;
    },
    freeze() {
      frozen = true;
      for (const socket of sockets) dead.add(socket);
    },
    thaw: () => void (frozen = false),
  };
}
