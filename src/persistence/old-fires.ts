import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { BatchedRemoval } from './batched-removal.js';

/** Plan: a range of schedule_fires_fire_at, then $1 rows by their place. No two passes wait for each other. */
const REMOVE = `
WITH removed AS (
  DELETE FROM schedule_fires WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM schedule_fires
    WHERE fire_at < now() - interval '7 days' ORDER BY fire_at LIMIT $1 FOR UPDATE SKIP LOCKED
  ))
  RETURNING 1
)
SELECT count(*)::int AS count FROM removed`;

/** Removes what is on record of times longer than a week ago. None comes again: a schedule knows its next one. */
@Injectable()
export class OldFires extends BatchedRemoval {
  constructor(database: DataSource) {
    super(database, 'old fires', REMOVE);
  }
}
