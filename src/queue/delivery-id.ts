import type { Delivery } from '../jobs/job-queue.js';

/** BullMQ's id of a delivery. It must hold no colon and not be a number. */
export function deliveryId({ jobId, delivery }: Delivery): string {
  return `${jobId}_${delivery}`;
}

const UUID_LENGTH = 36;
const DELIVERY_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}_\d{1,15}$/;

/** @returns undefined for an id that this platform did not make */
export function parseDeliveryId(id: string | undefined): Delivery | undefined {
  if (!id || !DELIVERY_ID.test(id)) return undefined;
  return { jobId: id.slice(0, UUID_LENGTH), delivery: Number(id.slice(UUID_LENGTH + 1)) };
}
