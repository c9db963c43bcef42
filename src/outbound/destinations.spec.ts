import dns from 'node:dns';
import { promisify } from 'node:util';
import type { AllowedDestination } from '../config/app-config.js';
import { Destinations } from './destinations.js';

const refusal = expect.objectContaining({ code: 'DESTINATION_REFUSED', final: true });

afterEach(() => jest.restoreAllMocks());

function check(url: string, ...allowed: AllowedDestination[]): void {
  new Destinations(allowed).check(new URL(url));
}

/** As the DNS would say. */
function everyNameHas(...addresses: string[]): void {
  const answer = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  jest
    .spyOn(dns, 'lookup')
    .mockImplementation(((_name: string, _options: object, done: (...answer: unknown[]) => void) =>
      done(null, answer)) as never);
}

/** @returns the addresses that a connection would be made to */
function addressesOf(url: string, ...allowed: AllowedDestination[]): Promise<unknown> {
  const target = new URL(url);
  const lookup = promisify(new Destinations(allowed).lookup(target));
  return lookup(target.hostname, { all: true });
}

describe('a URL with an address', () => {
  it.each([
    ['in decimal', 'http://2130706433/'],
    ['in hexadecimal', 'http://0x7f000001/'],
    ['in parts of hexadecimal', 'http://0x7f.0.0x0.1/'],
    ['in octal', 'http://0177.0.0.1/'],
    ['in octal, whole', 'http://017700000001/'],
    ['shortened', 'http://127.1/'],
    ['of zero', 'http://0/'],
    ['with a dot at its end', 'http://127.0.0.1./'],
    ['in full-width digits', 'http://１２７.０.０.１/'],
    ['with dots of another script', 'http://127。0。0。1/'],
    ['percent-encoded', 'http://%31%32%37.0.0.1/'],
    ['with a port', 'http://127.0.0.1:8080/'],
    ['over TLS', 'https://127.0.0.1/'],
    ['of the metadata service', 'http://169.254.169.254/latest/meta-data/'],
    ['of the metadata service, in decimal', 'http://2852039166/'],
    ['of the metadata service, over IPv6', 'http://[fd00:ec2::254]/'],
    ['of IPv6 loopback', 'http://[::1]/'],
    ['of IPv6 loopback, in full', 'http://[0:0:0:0:0:0:0:1]/'],
    ['unspecified', 'http://[::]/'],
    ['mapped', 'http://[::ffff:127.0.0.1]/'],
    ['mapped, in hexadecimal', 'http://[::FFFF:7F00:1]/'],
    ['compatible', 'http://[::127.0.0.1]/'],
    ['NAT64', 'http://[64:ff9b::10.0.0.1]/'],
    ['6to4', 'http://[2002:a00:1::]/'],
    ['link-local', 'http://[fe80::1]/'],
  ])('is refused where that is not public: %s', (_form, url) => {
    expect(() => check(url)).toThrow(refusal);
  });

  it.each(['http://8.8.8.8/', 'https://[2606:4700:4700::1111]:8443/'])('is fine where it is: %s', (url) => {
    expect(() => check(url)).not.toThrow();
  });

  it.each(['http://[fe80::1%25eth0]/', 'http://[::1%lo]/'])('is no URL with a zone: %s', (url) => {
    expect(URL.canParse(url)).toBe(false);
  });
});

it.each(['ftp://example.com/', 'file:///etc/passwd', 'gopher://example.com/', 'data:,x', 'unix:/run/x.sock'])(
  'refuses a URL that is not of HTTP: %s',
  (url) => {
    expect(() => check(url)).toThrow(refusal);
  },
);

it.each(['http://user:password@example.com/', 'http://user@example.com/', 'http://:password@example.com/'])(
  'refuses a URL with credentials: %s',
  (url) => {
    expect(() => check(url)).toThrow(refusal);
  },
);

describe('a name', () => {
  it('is fine while all its addresses are public', async () => {
    everyNameHas('8.8.8.8', '2606:4700:4700::1111');

    expect(await addressesOf('http://example.com/')).toMatchObject([
      { address: '8.8.8.8', family: 4 },
      { address: '2606:4700:4700::1111', family: 6 },
    ]);
  });

  it.each([['127.0.0.1'], ['8.8.8.8', '10.0.0.1'], ['8.8.8.8', '::ffff:7f00:1'], ['fe80::1%eth0']])(
    'is refused where one of them is not: %s',
    async (...addresses) => {
      everyNameHas(...addresses);

      await expect(addressesOf('http://example.com/')).rejects.toEqual(refusal);
    },
  );

  it('of this machine is refused', async () => {
    await expect(addressesOf('http://LOCALHOST/')).rejects.toEqual(refusal);
  });

  it('with a dot at its end is no other', async () => {
    everyNameHas('127.0.0.1');

    await expect(addressesOf('http://localhost./')).rejects.toEqual(refusal);
  });

  it('that has no address fails, and may have one later', async () => {
    everyNameHas();

    await expect(addressesOf('http://example.com/')).rejects.not.toEqual(refusal);
  });

  it('is answered as it is asked for, with one address or all', async () => {
    everyNameHas('8.8.8.8', '8.8.4.4');
    const url = new URL('http://example.com/');
    const answer = jest.fn();

    new Destinations([]).lookup(url)(url.hostname, {}, answer);

    expect(answer).toHaveBeenCalledWith(null, '8.8.8.8', 4);
  });
});

describe('what the configuration allows', () => {
  it.each<[string, AllowedDestination]>([
    ['http://10.0.0.5/', { host: '10.0.0.5' }],
    ['http://10.0.0.5:8080/', { host: '10.0.0.5' }],
    ['http://10.0.0.5:8080/', { host: '10.0.0.5', port: 8080 }],
    ['http://10.0.0.5/', { host: '10.0.0.5', port: 80 }],
    ['https://10.0.0.5/', { host: '10.0.0.5', port: 443 }],
    ['http://10.200.0.1/', { host: '10.0.0.0', prefix: 8 }],
    ['http://[::ffff:10.0.0.5]/', { host: '10.0.0.0', prefix: 8 }],
    ['http://127.0.0.1/', { host: '0.0.0.0', prefix: 0 }],
    ['http://[::1]:8080/', { host: '::1' }],
    ['http://[fd00::5]:8080/', { host: 'fd00::5', port: 8080 }],
    ['http://[fdab::1]/', { host: 'fd00::', prefix: 8 }],
  ])('%s is fine by %j', (url, allowed) => {
    expect(() => check(url, { host: 'other.example' }, allowed)).not.toThrow();
  });

  it.each<[string, AllowedDestination]>([
    ['http://10.0.0.6/', { host: '10.0.0.5' }],
    ['http://10.0.0.5:8081/', { host: '10.0.0.5', port: 8080 }],
    ['https://10.0.0.5/', { host: '10.0.0.5', port: 80 }],
    ['http://11.0.0.1@10.0.0.5/', { host: '10.0.0.5' }],
    ['http://192.168.0.1/', { host: '10.0.0.0', prefix: 8 }],
    ['http://10.0.0.5/', { host: '::', prefix: 0 }],
    ['http://[::1]/', { host: '0.0.0.0', prefix: 0 }],
    ['http://[fd00::6]/', { host: 'fd00::5' }],
    ['http://10.0.0.5/', { host: 'hooks.internal' }],
  ])('%s is not fine by %j', (url, allowed) => {
    expect(() => check(url, allowed)).toThrow(refusal);
  });

  it.each<[string, AllowedDestination]>([
    ['http://hooks.internal/', { host: 'hooks.internal' }],
    ['http://HOOKS.internal./', { host: 'hooks.internal' }],
    ['http://hooks.internal:8080/', { host: 'hooks.internal', port: 8080 }],
    ['http://hooks.internal/', { host: '10.0.0.0', prefix: 8 }],
    ['http://hooks.internal:8080/', { host: '10.0.0.5', port: 8080 }],
  ])('%s at 10.0.0.5 is fine by %j', async (url, allowed) => {
    everyNameHas('10.0.0.5');

    expect(await addressesOf(url, allowed)).toEqual([{ address: '10.0.0.5', family: 4 }]);
  });

  it.each<[string, AllowedDestination]>([
    ['http://other.internal/', { host: 'hooks.internal' }],
    ['http://hooks.internal.example.com/', { host: 'hooks.internal' }],
    ['http://evil-hooks.internal/', { host: 'hooks.internal' }],
    ['http://hooks.internal:8081/', { host: 'hooks.internal', port: 8080 }],
    ['http://hooks.internal/', { host: '10.0.0.6' }],
  ])('%s at 10.0.0.5 is not fine by %j', async (url, allowed) => {
    everyNameHas('10.0.0.5');

    await expect(addressesOf(url, allowed)).rejects.toEqual(refusal);
  });
});
