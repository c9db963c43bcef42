import type { DataSource, QueryRunner } from 'typeorm';

/** A pooler that other clients use as well may keep up appearances once. */
const ROUNDS = 3;

/**
 * Whether a connection speaks to the same session all along, and to no other's. A pooler in transaction or statement mode
 * takes the session back after every statement: asked twice in a row, a connection finds another one, or the next
 * connection finds the one that the first has left. Needs two connections.
 */
export async function sessionsAreKept(database: DataSource): Promise<boolean> {
  const [one, other] = [database.createQueryRunner(), database.createQueryRunner()];
  try {
    const [first, second] = [new Set<number>(), new Set<number>()];
    for (let round = 0; round < ROUNDS; round++) {
      first.add(await sessionOf(one)).add(await sessionOf(one));
      second.add(await sessionOf(other)).add(await sessionOf(other));
    }
    return first.size === 1 && second.size === 1 && new Set([...first, ...second]).size === 2;
  } finally {
    await Promise.all([one.release(), other.release()]);
  }
}

async function sessionOf(connection: QueryRunner): Promise<number> {
  const [row] = (await connection.query(`SELECT pg_backend_pid() AS pid`)) as { pid: number }[];
  return row?.pid ?? 0;
}
