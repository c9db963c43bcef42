import { createServer, type Server } from 'node:net';
import { assertPortFree } from './assert-port-free.js';
import { freePort } from '../standalone/free-port.js';
import { StandaloneError } from '../standalone/standalone-error.js';

const listen = (port: number): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });

describe('assertPortFree', () => {
  it('lets a free port pass, and leaves it free', async () => {
    const port = await freePort('127.0.0.1');

    await assertPortFree('127.0.0.1', port);
    await assertPortFree('127.0.0.1', port);
  });

  it('names another port when it is taken', async () => {
    const port = await freePort('127.0.0.1');
    const server = await listen(port);
    const refused = assertPortFree('0.0.0.0', port);

    await expect(refused).rejects.toThrow(StandaloneError);
    await expect(refused).rejects.toThrow(
      new RegExp(`^Port ${port} is taken: try PORT=(?!${port} )\\d+ npm start$`),
    );
    server.close();
  });

  it('names an address that this machine does not have', async () => {
    await expect(assertPortFree('192.0.2.1', 3000)).rejects.toThrow('Cannot listen on 192.0.2.1:3000');
  });
});
