import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterThisFile } from './child.js';

export interface Intermediary {
  port: number;
  stop(): Promise<void>;
}

/**
 * Passes bytes on between clients and a server on this machine, and may change what the server says.
 * @param listenOn any free port where it is not given
 */
export async function startIntermediary(
  port: number,
  change: (said: Buffer) => Buffer = (said) => said,
  listenOn = 0,
): Promise<Intermediary> {
  const sockets = new Set<Socket>();
  return listening(listenOn, sockets, (client) => {
    const server = connect(port, '127.0.0.1');
    remember(sockets, server);
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => client.write(change(bytes)));
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  });
}

/**
 * A pooler in transaction mode, as small as can be: every client shares one session of a PostgreSQL that asks for no
 * password, and gets it for as long as a transaction is open.
 */
export async function startTransactionPooler(port: number): Promise<Intermediary> {
  const sockets = new Set<Socket>();
  const sessions = new Map<string, Promise<SharedSession>>();
  return listening(0, sockets, (client) => {
    let session: Promise<SharedSession> | undefined;
    client.on('data', (bytes) => {
      if (session) {
        void session.then((shared) => shared.ask(client, bytes));
        return;
      }
      // By database; what else a client asks for at the start is dropped.
      const database = /\0database\0([^\0]+)\0/.exec(bytes.toString('latin1'))?.[1] ?? 'postgres';
      session = sessions.get(database) ?? SharedSession.open(port, database, sockets);
      sessions.set(database, session);
      void session.then(({ greeting }) => client.write(greeting));
    });
  });
}

interface Turn {
  client: Socket;
  bytes: Buffer;
}

class SharedSession {
  greeting = Buffer.alloc(0);
  #owner?: Socket;
  readonly #waiting: Turn[] = [];
  #unread = Buffer.alloc(0);

  private constructor(private readonly server: Socket) {}

  static open(port: number, database: string, sockets: Set<Socket>): Promise<SharedSession> {
    const server = connect(port, '127.0.0.1');
    remember(sockets, server);
    const session = new SharedSession(server);
    const body = Buffer.from(`\0\x03\0\0user\0postgres\0database\0${database}\0\0`, 'latin1');
    const length = Buffer.alloc(4);
    length.writeInt32BE(body.length + 4);
    server.write(Buffer.concat([length, body]));
    return new Promise((resolve) => {
      server.on('data', (bytes) => {
        if (session.hear(bytes)) resolve(session);
      });
    });
  }

  ask(client: Socket, bytes: Buffer): void {
    if (bytes[0] === 'X'.charCodeAt(0)) {
      client.end();
    } else if (this.#owner === undefined || this.#owner === client) {
      this.#owner = client;
      this.server.write(bytes);
    } else {
      this.#waiting.push({ client, bytes });
    }
  }

  /** @returns whether the session has greeted by now */
  private hear(bytes: Buffer): boolean {
    const greeted = this.#owner !== undefined;
    if (this.#owner) this.#owner.write(bytes);
    else this.greeting = Buffer.concat([this.greeting, bytes]);

    const idle = this.endsIdle(bytes);
    if (!greeted || !idle) return idle;
    this.#owner = undefined;
    const next = this.#waiting.shift();
    if (next) this.ask(next.client, next.bytes);
    return true;
  }

  /** Whether the last whole message is ReadyForQuery outside a transaction. */
  private endsIdle(bytes: Buffer): boolean {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    let idle = false;
    while (this.#unread.length >= 5) {
      const end = 1 + this.#unread.readInt32BE(1);
      if (this.#unread.length < end) return false;
      idle = this.#unread[0] === 'Z'.charCodeAt(0) && this.#unread[5] === 'I'.charCodeAt(0);
      this.#unread = this.#unread.subarray(end);
    }
    return idle && this.#unread.length === 0;
  }
}

async function listening(
  port: number,
  sockets: Set<Socket>,
  serve: (client: Socket) => void,
): Promise<Intermediary> {
  const server: Server = createServer((client) => {
    remember(sockets, client);
    serve(client);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address();
  const stop = async (): Promise<void> => {
    forget();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  const forget = afterThisFile(stop);
  return { port: typeof address === 'object' && address ? address.port : 0, stop };
}

function remember(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.on('error', () => undefined);
  socket.on('close', () => sockets.delete(socket));
}
