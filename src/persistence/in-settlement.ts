import type { EntityManager } from 'typeorm';
import { SettlementEffect } from '../job-types/settlement-effect.js';

/**
 * For a handler to return: its effect in this database, and its settlement, in one transaction. The effect happens
 * exactly once for each completed run, whatever crashes in between: where the attempt's token is not current any more it
 * is not begun, and where the commit fails it is rolled back, to be tried again.
 *
 * ```ts
 * run({ account, amount }, { jobId }) {
 *   return inSettlement(async (manager) => {
 *     await manager.insert(Booking, { jobId, account, amount });
 *     return { booked: amount };
 *   });
 * }
 * ```
 * @param effect does nothing but write by this manager, and quickly: it holds the job's row and a connection. What it
 *   returns is the job's result; a throw rolls everything back and fails the attempt.
 */
export function inSettlement(
  effect: (manager: EntityManager) => Promise<unknown>,
): Promise<SettlementEffect<EntityManager>> {
  return Promise.resolve(new SettlementEffect(effect));
}
