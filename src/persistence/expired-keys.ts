import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { BatchedRemoval } from './batched-removal.js';

/**
 * A minute behind, so that a request which has just lost against a key still finds it. Other processes' rows and those
 * that a submit renews are skipped: no two passes wait for each other.
 * Plan: index scan of idempotency_keys_expires_at, then $1 rows by their place.
 */
const REMOVE = `
WITH removed AS (
  DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM idempotency_keys
    WHERE expires_at < now() - interval '1 minute' ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
  ))
  RETURNING 1
)
SELECT count(*)::int AS count FROM removed`;

/** Removes idempotency keys that have expired. They count as absent before. */
@Injectable()
export class ExpiredKeys extends BatchedRemoval {
  constructor(database: DataSource) {
    super(database, 'expired keys', REMOVE);
  }
}
