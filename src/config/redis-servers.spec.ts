import { redisServers } from './redis-servers.js';

const nodes = (...ports: number[]) => ports.map((port) => ({ host: 'a', port }));
const plain = { username: undefined, password: undefined, tls: false };

it.each([
  'redis://queue:6379',
  'rediss://:secret@queue:6380/2',
  'redis://:with,comma@queue',
  'redis://queue?family=6',
])('takes %s for one server, as it is', (given) => {
  expect(redisServers(given)).toEqual({ url: given });
});

it.each([
  ['redis://a:1,redis://a:2,redis://a:3', nodes(1, 2, 3)],
  ['redis://a:1, redis://a:2', nodes(1, 2)],
  ['redis://a:1,a:2,a', nodes(1, 2, 6379)],
  ['redis+cluster://a:1', nodes(1)],
  ['redis+cluster://a:1/0,a:2', nodes(1, 2)],
  ['redis://[fd00::5]:1,redis://[fd00::6]:1', ['fd00::5', 'fd00::6'].map((host) => ({ host, port: 1 }))],
])('takes %s for a Cluster', (given, expected) => {
  expect(redisServers(given)).toEqual({ cluster: { ...plain, nodes: expected } });
});

it.each([
  'rediss://ann:p%40ss@a:1,rediss://ann:p%40ss@a:2',
  'rediss+cluster://ann:p%40ss@a:1,a:2',
  'rediss://ann:p%40ss@a:1,rediss://a:2',
])('reads name, password and TLS of %s once for all nodes', (given) => {
  expect(redisServers(given)).toEqual({
    cluster: { nodes: nodes(1, 2), username: 'ann', password: 'p@ss', tls: true },
  });
});

it.each([
  'queue:6379',
  'http://queue',
  'redis+sentinel://queue',
  'redis+cluster://',
  'redis+cluster://a:1/2',
  'redis://a:1,',
  'redis://a:1,rediss://a:2',
  'redis://a:1,http://a:2',
  'redis://a:1,redis://a:99999',
  'redis://:one@a:1,redis://:two@a:2',
  'redis://a:1,redis://:two@a:2',
  'redis://:10%@a:1,redis://a:2',
  'redis+cluster://u:p@a:1,u:p@b:2',
  'redis://u:p@a:1,u:p@b:2',
])('refuses %s', (given) => {
  expect(redisServers(given)).toBeUndefined();
});
