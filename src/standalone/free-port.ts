import { createServer } from 'node:net';

/** A TCP port nobody listens on at this moment; somebody may take it before the caller does. */
export function freePort(host: string): Promise<number> {
  return bind(host, 0);
}

/** Listens on a port for an instant; gives the port, or rejects with the system's error. */
export function bind(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === 'object' ? address?.port : undefined;
      server.close(() => resolve(bound ?? port));
    });
  });
}
