import type { Delivery } from '../jobs/job-queue.js';

/** BullMQ's id of a delivery. It must hold no colon and not be a number. */
export function deliveryId({ jobId, delivery }: Delivery): string {
  return `${jobId}_${delivery}`;
}

/** @returns undefined for an id that this platform did not make */
export function parseDeliveryId(id: string | undefined): Delivery | undefined {
  const [, jobId, delivery] = /^(.+)_(\d{1,15})$/.exec(id ?? '') ?? [];
  return jobId && delivery ? { jobId, delivery: Number(delivery) } : undefined;
}
