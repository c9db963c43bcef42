/** As most people write it: each request inserts its row, then adds it to the queue (a dual write), then answers. */
import { randomUUID } from 'node:crypto';
import express from 'express';
import { makeTable, openQueue, pool } from './hand-written.mjs';

await makeTable();
const queue = openQueue();

const app = express();
app.use(express.json());
app.post('/jobs', async (request, response) => {
  const { type, data } = request.body;
  if (typeof type !== 'string' || typeof data !== 'object') return response.status(400).end();

  const id = randomUUID();
  await pool.query('INSERT INTO jobs (id, type, data) VALUES ($1, $2, $3)', [id, type, data]);
  await queue.add(type, { id }, { jobId: id });
  response.status(202).location(`/jobs/${id}`).json({ id, type, data, status: 'waiting' });
});
app.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('ready'));
