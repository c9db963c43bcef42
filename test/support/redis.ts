import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterThisFile, type Child, launch } from './child.js';
import { freePort } from './ports.js';
import { type RedisBinary, redisBinary } from './redis-binary.js';

export interface RedisOptions {
  /** Keep the data over `kill()` and `start()`; off by default, so that a killed server comes back empty. */
  appendonly?: boolean;
  /** As in its configuration file. */
  settings?: Record<string, string>;
  /** Finds a port; any free one where it is not given. */
  port?: () => Promise<number>;
}

/** Starts a Redis server of the test's own, on a free port. */
export async function startRedis({
  appendonly = false,
  settings = {},
  port,
}: RedisOptions = {}): Promise<PrivateRedis> {
  const server = new PrivateRedis(await redisBinary(), appendonly, settings);
  await server.startOnFreePort(port);
  return server;
}

/** One server: a test may kill it, start it again on the same port, and let it hang. */
export class PrivateRedis {
  port = 0;
  private readonly data = mkdtempSync(join(tmpdir(), 'jobs-redis-'));
  private server: Child | undefined;
  private readonly forget = afterThisFile(() => this.stop());

  constructor(
    private readonly binary: RedisBinary,
    private readonly appendonly: boolean,
    private readonly settings: Record<string, string>,
  ) {}

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    if (!this.server) throw new Error('Redis is not running');
    return this.server.pid;
  }

  /** Starts again after `kill()`, and returns when commands are answered. */
  async start(): Promise<void> {
    if (this.server?.running) return;
    const durability = ['--save', '', '--appendonly', this.appendonly ? 'yes' : 'no'];
    const settings = Object.entries(this.settings).flatMap(([name, value]) => [`--${name}`, value]);
    const where = ['--bind', '127.0.0.1', '--port', String(this.port), '--dir', this.data];
    const args = [...where, ...durability, ...settings];

    this.server = launch(this.binary.path, args, { env: this.binary.env, detached: true });
    await this.answers(this.server);
  }

  /** Tries further ports while somebody else took the chosen one. */
  async startOnFreePort(port = freePort, tries = 5): Promise<void> {
    this.port = await port();
    try {
      await this.start();
    } catch (error) {
      if (tries <= 1 || !/in use/.test(String(error))) throw error;
      await this.startOnFreePort(port, tries - 1);
    }
  }

  async kill(): Promise<void> {
    await this.server?.end();
  }

  /** Lets the server hang: connections stay open, and nothing is answered. */
  pause(): void {
    this.server?.signal('SIGSTOP');
  }

  resume(): void {
    this.server?.signal('SIGCONT');
  }

  /** Deletes what a killed server had written down; a Cluster's node stays what it was in the cluster. */
  loseData(): void {
    for (const file of readdirSync(this.data)) {
      if (/^appendonly|\.rdb$/.test(file)) rmSync(join(this.data, file), { recursive: true });
    }
  }

  /** Wipes all data; the server keeps running, with the same run id. */
  async flushAll(): Promise<void> {
    const reply = await this.command('FLUSHALL');
    if (!reply.startsWith('+OK')) throw new Error(`FLUSHALL: ${reply}`);
  }

  /** From now on everyone is refused this command, as a managed server may do. */
  async forbid(command: string): Promise<void> {
    const reply = await this.command(`ACL SETUSER default -${command}`);
    if (!reply.startsWith('+OK')) throw new Error(`ACL SETUSER: ${reply}`);
  }

  /** Ends the server, and deletes its data. */
  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.data, { recursive: true, force: true });
    this.forget();
  }

  private async answers(server: Child): Promise<void> {
    const deadline = Date.now() + 30_000;

    while (server.running && Date.now() < deadline) {
      // Whoever holds the port may answer too, so the answer must come from our own process.
      const info = await this.command('INFO server').catch(() => '');
      if (info.includes(`process_id:${server.pid}\r`)) return;
      await server.exitsWithin(20);
    }
    await server.end();
    throw new Error(`Redis did not start:\n${server.output()}`);
  }

  /** Sends one command in Redis's inline form, and returns the raw reply. */
  command(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let reply = '';
      const socket = connect(this.port, '127.0.0.1');
      socket.setTimeout(5_000, () => socket.destroy(new Error(`no answer to ${command}`)));
      socket.on('data', (chunk) => (reply += chunk.toString()));
      socket.on('close', () => resolve(reply));
      socket.on('error', reject);
      socket.write(`${command}\r\nQUIT\r\n`);
    });
  }
}
