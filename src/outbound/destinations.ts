import { lookup as resolve, type LookupAddress } from 'node:dns';
import { BlockList, isIP, isIPv4, type LookupFunction } from 'node:net';
import type { AllowedDestination } from '../config/app-config.js';
import { OutboundFailure } from './outbound-failure.js';
import { isPublicAddress } from './public-address.js';

/**
 * Where requests may go: to public addresses, and to what the configuration allows beside them. A name is judged by the
 * addresses it has at the very moment of the connection, so there is no gap for a name that changes its addresses.
 */
export class Destinations {
  readonly #rules: Rule[];

  constructor(allowed: readonly AllowedDestination[]) {
    this.#rules = allowed.map(ruleOf);
  }

  /**
   * Judges what can be told before a connection. Whoever connects must take the addresses from `lookup`.
   * @throws OutboundFailure
   */
  check(url: URL): void {
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw refused(`${url.protocol} is neither http: nor https:`);
    if (url.username !== '' || url.password !== '')
      throw refused('a URL must not carry a user name or a password');

    // Node.js asks no lookup about a host that is an address.
    const host = hostOf(url);
    if (isIP(host) !== 0) this.assertPermitted(url, host);
  }

  /** The lookup for one URL's connection. A name is refused with the first of its addresses that is not permitted. */
  lookup(url: URL): LookupFunction {
    return (hostname, options, callback) => {
      resolve(hostname, { ...options, all: true }, (error, addresses) => {
        const flaw = error ?? this.flawOf(url, addresses);
        const [first] = addresses ?? [];
        if (flaw || !first) return callback(flaw ?? new Error(`${hostname} has no address`), '');
        if (options.all) return callback(null, addresses);
        callback(null, first.address, first.family);
      });
    };
  }

  private flawOf(url: URL, addresses: readonly LookupAddress[]): OutboundFailure | undefined {
    try {
      for (const { address } of addresses) this.assertPermitted(url, address);
      return undefined;
    } catch (error) {
      if (error instanceof OutboundFailure) return error;
      throw error;
    }
  }

  private assertPermitted(url: URL, address: string): void {
    if (isPublicAddress(address) || this.#rules.some((allows) => allows(url, address))) return;

    const host = hostOf(url);
    throw refused(`${host === address ? host : `${host} (${address})`} is not a public address`);
  }
}

type Rule = (url: URL, address: string) => boolean;

function ruleOf({ host, prefix, port }: AllowedDestination): Rule {
  const matches = isIP(host) === 0 ? isNamed(host) : isWithin(host, prefix);
  return (url, address) => (port === undefined || port === portOf(url)) && matches(url, address);
}

function isNamed(name: string): Rule {
  return (url) => hostOf(url) === name;
}

/** An IPv4 network holds also for its addresses as IPv6 maps them; an IPv6 network never for IPv4 ones. */
function isWithin(network: string, prefix?: number): Rule {
  const family = familyOf(network);
  const list = new BlockList();
  list.addSubnet(network, prefix ?? (family === 'ipv4' ? 32 : 128), family);
  return (_url, address) =>
    (family === 'ipv4' || !isIPv4(address)) && list.check(address.split('%')[0] ?? '', familyOf(address));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}

/** Without the brackets of an IPv6 address, and without the dot that may end a name. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$|\.$/g, '');
}

function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}

function refused(why: string): OutboundFailure {
  return new OutboundFailure('DESTINATION_REFUSED', `Refused: ${why}`, true);
}
