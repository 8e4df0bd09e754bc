import * as net from 'node:net';

/** A range of addresses in its canonical form. */
export interface Cidr {
  /** Bits of an address: 32 for IPv4, 128 for IPv6. */
  readonly bits: number;
  /** The address as it was written, as a number. */
  readonly address: bigint;
  /** The first and the last address of the range. */
  readonly first: bigint;
  readonly last: bigint;
  readonly prefix: number;
}

/** Reads CIDR notation; undefined where the text is not valid. */
export function parseCidr(text: string): Cidr | undefined {
  const [, written, length] = /^([0-9a-fA-F:.]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const version = net.isIP(written ?? '');
  const [bits, prefix] = [version === 4 ? 32 : 128, Number(length)];
  if (version === 0 || prefix > bits) {
    return undefined;
  }
  const address = version === 4 ? numberOf(written!.split('.'), 10, 8n) : numberOf(groupsOf(written!), 16, 16n);
  return cidr(bits, address, prefix);
}

/** A range that is known to be valid. */
export function knownCidr(text: string): Cidr {
  return parseCidr(text)!;
}

/** The range as text: the shortest form, lower-case, without host bits. */
export function formatCidr({ bits, first, prefix }: Cidr): string {
  return `${format(bits, first)}/${prefix}`;
}

/** One address as a range. */
export function single({ bits, address }: Cidr): Cidr {
  return cidr(bits, address, bits);
}

export function contains(outer: Cidr, inner: Cidr): boolean {
  return outer.bits === inner.bits && outer.first <= inner.first && inner.last <= outer.last;
}

/** The ranges that no other one contains, each once; two ranges either nest or have nothing in common. */
export function outermost(ranges: Cidr[]): Cidr[] {
  return ranges.filter(
    (range, index) => !ranges.some((other, at) => at !== index && contains(other, range) && (at < index || !contains(range, other))),
  );
}

function cidr(bits: number, address: bigint, prefix: number): Cidr {
  const size = 1n << BigInt(bits - prefix);
  const first = address - (address % size);
  return { bits, address, first, last: first + size - 1n, prefix };
}

function numberOf(parts: string[], radix: number, width: bigint): bigint {
  return parts.reduce((sum, part) => (sum << width) | BigInt(parseInt(part, radix)), 0n);
}

function groupsOf(address: string): string[] {
  const [head, tail] = normalized(address)
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''));
  const missing = 8 - head!.length - (tail?.length ?? 0);
  return [...head!, ...Array<string>(missing).fill('0'), ...(tail ?? [])];
}

/** IPv6 as RFC 5952 writes it, which is how a URL has it. */
function normalized(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}

function format(bits: number, address: bigint): string {
  const parts = (width: number): bigint[] =>
    Array.from({ length: bits / width }, (_, index) => BigInt.asUintN(width, address >> BigInt(bits - width * (index + 1))));
  return bits === 32 ? parts(8).join('.') : normalized(parts(16).map((group) => group.toString(16)).join(':'));
}
