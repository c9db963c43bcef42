import { Cluster, type Redis } from 'ioredis';
import { hashSlot } from './hash-slot.js';

/** A server that holds a part of the keys, or all of them. */
export interface RedisMaster {
  /** `host:port` in a Cluster; empty where it is the only server. */
  name: string;
  /** Undefined while no connection to it is even tried. */
  client: Redis | undefined;
}

/** The servers that hold keys. None where a Cluster has not told of its nodes yet. */
export function mastersOf(client: Redis | Cluster): RedisMaster[] {
  if (!(client instanceof Cluster)) return [{ name: '', client }];

  const clients = new Map(client.nodes('master').map((node) => [nameOf(node), node]));
  const names = new Set(client.slots.flatMap(([master]) => master ?? []));
  return [...names].map((name) => ({ name, client: clients.get(name) }));
}

/** The name of the server that holds the keys with this hash tag. */
export function masterOf(client: Redis | Cluster, tag: string): string {
  return client instanceof Cluster ? (client.slots[hashSlot(tag)]?.[0] ?? '') : '';
}

/** An answer of each of them. @throws Error that names those which do not give one */
export async function fromEach<Answer>(
  client: Redis | Cluster,
  ask: (client: Redis, name: string) => Promise<Answer>,
): Promise<Answer[]> {
  const masters = mastersOf(client);
  if (masters.length === 0) throw new Error('no node of the Cluster has answered yet');

  const answers = await Promise.allSettled(
    masters.map(async ({ name, client }) => {
      if (!client) throw new Error('is away');
      return ask(client, name);
    }),
  );
  const faults = answers.flatMap((answer, n) =>
    answer.status === 'rejected' ? [{ name: masters[n]?.name, reason: answer.reason as unknown }] : [],
  );
  const [fault] = faults;
  if (!fault) return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  if (!fault.name) throw fault.reason;
  throw new Error(
    faults
      .map(({ name, reason }) => `${name}: ${reason instanceof Error ? reason.message : String(reason)}`)
      .join(', '),
    { cause: fault.reason },
  );
}

function nameOf({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}
