import type { Delivery } from '../jobs/job-queue.js';

/** BullMQ's id of a delivery. It must hold no colon and not be a number. */
export function deliveryId({ jobId, delivery }: Delivery): string {
  return `${jobId}_${delivery}`;
}

/** @returns undefined for an id that this platform did not make */
export function parseDeliveryId(id: string | undefined): Delivery | undefined {
  const at = id?.lastIndexOf('_') ?? 0;
  if (!id || at < 1 || !/^\d{1,15}$/.test(id.slice(at + 1))) return undefined;
  return { jobId: id.slice(0, at), delivery: Number(id.slice(at + 1)) };
}
