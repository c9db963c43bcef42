/** Express that does nothing: it parses the body, and answers. */
import { randomUUID } from 'node:crypto';
import express from 'express';

const app = express();
app.use(express.json());
app.post('/jobs', (request, response) => {
  response.status(202).json({ id: randomUUID(), type: request.body.type, status: 'waiting' });
});
app.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('ready'));
