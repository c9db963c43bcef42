import type { Lane } from './job-queue.js';

/** Tells lanes apart. */
export function laneKey({ queue, shard }: Lane): string {
  return `${queue}-${shard}`;
}

/** The same items, those of one lane together and in their order. */
export function byLane<Item extends Lane>(items: readonly Item[]): [Item, ...Item[]][] {
  const lanes = new Map<string, [Item, ...Item[]]>();
  for (const item of items) {
    const batch = lanes.get(laneKey(item));
    if (batch) batch.push(item);
    else lanes.set(laneKey(item), [item]);
  }
  return [...lanes.values()];
}
