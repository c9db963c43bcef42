import { EventEmitter, once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { writeByTurn } from './turn-writes.js';

describe('writeByTurn', () => {
  it('gathers what one turn of the event loop says', async () => {
    const socket = new RecordingSocket();
    const client = Object.assign(new EventEmitter(), { stream: socket });
    writeByTurn(client);

    client.stream.write('a');
    client.stream.write('b');
    expect(socket.said).toEqual(['cork', 'a', 'b']);

    await nextTurn();
    client.stream.write('c');
    await nextTurn();
    expect(socket.said).toEqual(['cork', 'a', 'b', 'uncork', 'cork', 'c', 'uncork']);
  });

  it('gathers on the socket that follows a reconnect, and on none twice', async () => {
    const client = Object.assign(new EventEmitter(), { stream: new RecordingSocket() });
    writeByTurn(client);
    const next = new RecordingSocket();
    client.stream = next;
    client.emit('connect');
    client.emit('connect');

    client.stream.write('a');
    await nextTurn();
    expect(next.said).toEqual(['cork', 'a', 'uncork']);
  });

  it('listens to a client once, however many lanes share it', () => {
    const client = Object.assign(new EventEmitter(), { stream: new RecordingSocket() });
    for (let lane = 0; lane < 12; lane++) writeByTurn(client);

    expect(client.listenerCount('connect')).toBe(1);
  });

  it('says all of it, in order, over a real socket', async () => {
    const received: Buffer[] = [];
    const server = createServer((peer) => peer.on('data', (chunk: Buffer) => received.push(chunk)));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const stream: Socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    writeByTurn(Object.assign(new EventEmitter(), { stream }));
    await once(stream, 'connect');

    const words = Array.from({ length: 50 }, (_, index) => `${index};`);
    for (const word of words) stream.write(word);
    while (Buffer.concat(received).length < words.join('').length) await sleep(1);
    expect(Buffer.concat(received).toString()).toBe(words.join(''));

    stream.destroy();
    server.close();
  });
});

class RecordingSocket {
  readonly said: string[] = [];

  write(chunk: string): boolean {
    this.said.push(chunk);
    return true;
  }

  cork(): void {
    this.said.push('cork');
  }

  uncork(): void {
    this.said.push('uncork');
  }
}
