import { BlockList, isIPv4 } from 'node:net';

/**
 * What is not for everybody, of the IANA special-purpose address registries (RFC 6890 and what followed it). Of IPv6
 * only 2000::/3 is public: so loopback, unique-local (fd00:ec2::254 too), link-local and multicast are out, and the forms
 * that carry an IPv4 address: mapped (::ffff:0:0/96), compatible (::/96) and NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
 */
const SPECIAL = {
  ipv4: listOf('ipv4', [
    ['0.0.0.0', 8], // this host
    ['10.0.0.0', 8], // private
    ['100.64.0.0', 10], // carrier-grade NAT; metadata of Alibaba Cloud
    ['127.0.0.0', 8], // loopback
    ['168.63.129.16', 32], // metadata of Azure, in the midst of public addresses
    ['169.254.0.0', 16], // link-local; metadata of most clouds
    ['172.16.0.0', 12], // private
    ['192.0.0.0', 24], // protocol assignments; metadata of Oracle Cloud
    ['192.0.2.0', 24], // documentation
    ['192.88.99.0', 24], // 6to4 relays
    ['192.168.0.0', 16], // private
    ['198.18.0.0', 15], // benchmarks
    ['198.51.100.0', 24], // documentation
    ['203.0.113.0', 24], // documentation
    ['224.0.0.0', 3], // multicast, reserved, broadcast
  ]),
  ipv6: listOf('ipv6', [
    ['::', 3],
    ['4000::', 2],
    ['8000::', 1],
    ['2001::', 23], // protocol assignments, among them Teredo
    ['2001:db8::', 32], // documentation
    ['2002::', 16], // 6to4, which carries an IPv4 address
    ['3fff::', 20], // documentation
  ]),
};

/** Whether an address belongs to the public internet. @param address IPv4 or IPv6, as Node.js resolves names to */
export function isPublicAddress(address: string): boolean {
  const [bare = ''] = address.split('%'); // a zone id says only over which interface
  return isIPv4(bare) ? !SPECIAL.ipv4.check(bare, 'ipv4') : !SPECIAL.ipv6.check(bare, 'ipv6');
}

function listOf(family: 'ipv4' | 'ipv6', networks: [address: string, prefix: number][]): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of networks) list.addSubnet(address, prefix, family);
  return list;
}
